"""The examples of workers that take the requests of a function from RabbitMQ, each as its README starts it.

First the test is the engine: it sends requests as docs/guides/workers.md describes them and reads what comes back.
Then it is `warren serve`. What the examples need is installed below target/workers.
"""

import hashlib
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.parse
import uuid

import pika

from deployment import Deployment
from own_names import BROKER
from support import ROOT, Process, Questions, client, environment, eventually, function, machine

EXAMPLES = ROOT / "examples/workers"
# Rust is built from nothing, on a busy machine.
INSTALLED_WITHIN = 1800
TAKES = "taking the requests of"


class Proxy:
    """A way to the broker that can be cut."""

    def __init__(self):
        broker = pika.URLParameters(BROKER)
        self.upstream, self.sockets, self.listener = (broker.host, broker.port), [], None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = free.getsockname()
        parts = urllib.parse.urlsplit(BROKER)
        credentials, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{credentials}{at}127.0.0.1:{self.address[1]}").geturl()

    def open(self):
        self.listener = socket.create_server(self.address)
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                ends = [listener.accept()[0], socket.create_connection(self.upstream)]
            except OSError:
                return
            self.sockets += ends
            for pair in (ends, ends[::-1]):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def cut(self):
        """Who is connected no longer is, and nobody can connect."""
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        for end in self.sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.sockets, self.listener = [], None


class Engine:
    """What Warren does: requests go out, answers come back on a queue of its own."""

    def __init__(self):
        self.prefix = f"warren-test-{uuid.uuid4()}."
        self.queue = f"{self.prefix}functions.charge"
        broker = pika.URLParameters(BROKER)
        # Nothing is read while a worker is built, and that may take long.
        broker.heartbeat = 0
        self.connection = pika.BlockingConnection(broker)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.replies = self.channel.queue_declare("", exclusive=True).method.queue
        self.received = []

    def close(self):
        for queue in (self.queue, f"{self.prefix}poison"):
            self.channel.queue_delete(queue)
        self.connection.close()

    def request(self, payload, again=False, **properties):
        """Sends a request to a worker that must be there, and answers its correlation id."""
        key = properties.pop("key", None) or f"{uuid.uuid4()}/r/1"
        headers = {"warren-execution": "arn:aws:states:us-east-1:000000000000:execution:m:e"}
        properties = {"reply_to": self.replies, "correlation_id": key, "message_id": key, **properties}
        properties = pika.BasicProperties(
            content_type="application/json", delivery_mode=2,
            headers={**headers, "warren-again": "true"} if again else headers, **properties,
        )
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.channel.basic_publish("", self.queue, body, properties, mandatory=True)
        return key

    def receive(self):
        """Whatever has come; the broker is asked once."""
        method, properties, body = self.channel.basic_get(self.replies, auto_ack=True)
        if method:
            self.received.append((properties.correlation_id, properties.headers or {}, body))
        return method

    def first(self, key, is_heartbeat):
        """Headers and body of the first answer, or heartbeat, to a request."""
        def there():
            while self.receive():
                pass
            for got, headers, body in self.received:
                if got == key and (headers.get("warren-heartbeat") == "true") == is_heartbeat:
                    return headers, body
            return None
        return eventually(there)

    def output(self, key):
        headers, body = self.first(key, False)
        if headers:
            raise AssertionError(f"it failed: {headers} {body}")
        return json.loads(body)

    def failure(self, key):
        """Error and cause."""
        headers, body = self.first(key, False)
        return headers.get("warren-error"), json.loads(body)

    def heartbeat(self, key):
        headers, body = self.first(key, True)
        if (headers, body) != ({"warren-heartbeat": "true"}, b""):
            raise AssertionError(f"it is no heartbeat: {headers} {body}")

    def waiting(self):
        """Requests that no worker holds."""
        return self.channel.queue_declare(self.queue, passive=True).method.message_count


def commands(language):
    """What the README says to type: what is done once, and what starts a worker."""
    block = re.search(r"^```sh\n(.*?)^```$", (EXAMPLES / language / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    *once, start = block.group(1).splitlines()
    return "\n".join(once), start


def installed(language, tools, lock):
    """A copy of an example in which all has been done that is done once."""
    for tool in tools:
        if not shutil.which(tool):
            raise AssertionError(f"{tool} is missing: the example of a worker in {language} is not tested without it")
    once, start = commands(language)
    version = hashlib.sha256((EXAMPLES / language / lock).read_bytes() + once.encode()).hexdigest()[:12]
    place = ROOT / "target/workers" / f"{language}-{version}"
    made = shutil.ignore_patterns(".*", "target", "node_modules")
    shutil.copytree(EXAMPLES / language, place, dirs_exist_ok=True, ignore=made)
    done = place / ".installed"
    if not done.exists():
        ran = subprocess.run(
            ["bash", "-euc", once], cwd=place, env=environment(), capture_output=True, text=True,
            timeout=INSTALLED_WITHIN,
        )
        if ran.returncode != 0:
            raise AssertionError(f"failed to do what the README says:\n{once}\n{ran.stdout}{ran.stderr}")
        done.touch()
    return place, start


def start(language, prefix, url=BROKER):
    """A worker as a process, not yet connected."""
    return Process(
        ["bash", "-c", f"exec {language.start}"], language.place,
        WARREN_AMQP_URL=url, WARREN_PREFIX=prefix, CARGO_TARGET_DIR=str(ROOT / "target/workers/cargo"),
    )


class Workers:
    """What every worker keeps to. `language` is the folder of the example, `lock` its file of fixed versions."""

    language, tools, lock = None, (), None

    @classmethod
    def setUpClass(cls):
        cls.place, cls.start = installed(cls.language, cls.tools, cls.lock)

    def setUp(self):
        self.engine = Engine()
        self.addCleanup(self.engine.close)

    def begin(self, url=BROKER):
        """A worker as a process, not yet connected."""
        worker = start(self, self.engine.prefix, url)
        self.addCleanup(worker.end)
        return worker

    def worker(self):
        worker = self.begin()
        self.assertIn(self.engine.queue, worker.says(TAKES, INSTALLED_WITHIN))
        return worker

    def test_it_answers_with_the_output(self):
        worker = self.worker()
        for amount in (30, 0.5):
            key = self.engine.request({"amount": amount})
            self.assertEqual(self.engine.output(key), {"charged": amount, "payment": key})
        self.assertEqual(worker.end(signal.SIGTERM), 0, worker.printed())
        self.assertEqual(self.engine.waiting(), 0, "what was answered is acknowledged")

    def test_it_says_why_it_fails(self):
        self.worker()
        declined = self.engine.failure(self.engine.request({"amount": 5000}))
        cause = {"errorMessage": "the amount is over the limit of the card", "errorType": "CardDeclined"}
        self.assertEqual(declined, ("CardDeclined", cause))
        invalid = self.engine.failure(self.engine.request({}))
        cause = {"errorMessage": "the order has no amount", "errorType": "InvalidOrder"}
        self.assertEqual(invalid, ("InvalidOrder", cause))

    def test_what_it_cannot_read_fails_the_task_and_not_the_worker(self):
        worker = self.worker()
        for payload in (b"{", 7, "text", None):
            error, cause = self.engine.failure(self.engine.request(payload))
            self.assertTrue(error)
            self.assertEqual((cause["errorType"], set(cause)), (error, {"errorMessage", "errorType"}))
        key = self.engine.request({"amount": 1})
        self.assertEqual(self.engine.output(key)["payment"], key)
        self.assertIsNone(worker.child.poll())

    def test_what_is_no_request_ends_among_the_poison(self):
        poison = f"{self.engine.prefix}poison"
        self.engine.channel.queue_declare(poison, durable=True, arguments={"x-queue-type": "quorum"})
        self.worker()
        self.engine.request({"amount": 1}, reply_to=None)
        body = eventually(lambda: self.engine.channel.basic_get(poison, auto_ack=True)[2])
        self.assertEqual(json.loads(body), {"amount": 1})

    def test_long_work_sends_heartbeats_and_holds_up_nobody(self):
        self.worker()
        long = [self.engine.request({"amount": number, "seconds": 3}) for number in range(3)]
        for key in long:
            self.engine.heartbeat(key)
        short = self.engine.request({"amount": 9})
        self.engine.output(short)
        self.assertNotIn(long[0], [key for key, headers, _ in self.engine.received if not headers], "in between")
        for number, key in enumerate(long):
            self.assertEqual(self.engine.output(key), {"charged": number, "payment": key})

    def test_a_killed_worker_leaves_its_request_to_another(self):
        worker = self.worker()
        key = self.engine.request({"amount": 7, "seconds": 4})
        self.engine.heartbeat(key)
        worker.end(signal.SIGKILL)
        self.worker()
        self.assertEqual(self.engine.output(key), {"charged": 7, "payment": key})

    def test_the_same_request_twice_has_the_same_answer(self):
        self.worker()
        key = self.engine.request({"amount": 7})
        first = self.engine.output(key)
        self.engine.received.clear()
        self.engine.request({"amount": 7}, again=True, key=key)
        self.assertEqual(self.engine.output(key), first)

    def test_told_to_stop_it_finishes_what_it_does_and_takes_no_more(self):
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            worker = self.worker()
            key = self.engine.request({"amount": 7, "seconds": 3})
            self.engine.heartbeat(key)
            worker.send(signal_number)
            self.assertEqual(worker.wait(), 0, worker.printed())
            self.assertEqual(self.engine.output(key), {"charged": 7, "payment": key})
            self.engine.request({"amount": 8})
            self.assertEqual(self.engine.waiting(), 1)
            self.engine.channel.queue_purge(self.engine.queue)

    def test_it_waits_for_the_broker_and_comes_back_to_it(self):
        proxy = Proxy()
        self.addCleanup(proxy.cut)
        worker = self.begin(proxy.url)
        worker.says("connecting again in", INSTALLED_WITHIN)
        proxy.open()
        worker.says(TAKES)
        key = self.engine.request({"amount": 7, "seconds": 3})
        self.engine.heartbeat(key)
        proxy.cut()
        worker.stderr.clear()
        worker.says("connecting again in")
        proxy.open()
        self.assertEqual(self.engine.output(key), {"charged": 7, "payment": key})
        self.assertEqual(worker.end(signal.SIGTERM), 0, worker.printed())

    def test_it_stops_while_the_broker_is_away(self):
        worker = self.begin(Proxy().url)
        worker.says("connecting again in", INSTALLED_WITHIN)
        self.assertEqual(worker.end(signal.SIGTERM), 0, worker.printed())

    def test_it_makes_its_queue_again(self):
        worker = self.worker()
        worker.stderr.clear()
        self.engine.channel.queue_delete(self.engine.queue)
        worker.says(TAKES)
        key = self.engine.request({"amount": 7})
        self.assertEqual(self.engine.output(key)["payment"], key)


class Python(Workers, unittest.TestCase):
    language, tools, lock = "python", ("python3",), "requirements.txt"


class Node(Workers, unittest.TestCase):
    language, tools, lock = "node", ("node", "npm"), "package-lock.json"


class Rust(Workers, unittest.TestCase):
    language, tools, lock = "rust", ("cargo",), "Cargo.lock"


class Together(unittest.TestCase):
    def test_workers_of_every_language_share_a_queue(self):
        """Which they can only if all declare it alike."""
        engine = Engine()
        self.addCleanup(engine.close)
        workers = []
        for language in (Python, Node, Rust):
            language.setUpClass()
            workers.append(start(language, engine.prefix))
            self.addCleanup(workers[-1].end)
            workers[-1].says(TAKES, INSTALLED_WITHIN)
        for key in [engine.request({"amount": number}) for number in range(30)]:
            self.assertEqual(engine.output(key)["payment"], key)
        for worker in workers:
            self.assertEqual(worker.end(signal.SIGTERM), 0, worker.printed())

    def test_the_guide_describes_the_queue_that_they_declare(self):
        engine = Engine()
        self.addCleanup(engine.close)
        Python.setUpClass()
        worker = start(Python, engine.prefix)
        self.addCleanup(worker.end)
        worker.says(TAKES)
        _, _, table = (ROOT / "docs/guides/workers.md").read_text().partition("| argument | value |\n| --- | --- |\n")
        rows = re.findall(r"^\| `(.+)` \| (.+) \|$", table.partition("\n\n")[0], re.MULTILINE)
        values = {"the empty text": "", "`warren.poison`": f"{engine.prefix}poison"}
        arguments = {
            name: int(value) if value.isdigit() else values.get(value, value.strip("`")) for name, value in rows
        }
        self.assertEqual(len(arguments), 6)
        # The broker refuses one that differs.
        engine.channel.queue_declare(engine.queue, durable=True, arguments=arguments)


class WithWarren(Questions):
    """State machines that call the function of a worker, run by `warren serve`."""

    language = None

    @classmethod
    def setUpClass(cls):
        cls.language.setUpClass()
        cls.deployment = Deployment(cls.addClassCleanup, functions=("charge",))
        _, endpoint = cls.deployment.serve()
        cls.sfn = client(endpoint)

    def worker(self):
        worker = start(self.language, self.deployment.prefix)
        self.addCleanup(worker.end)
        worker.says(TAKES, INSTALLED_WITHIN)
        return worker

    def charge(self, order, **fields):
        """An execution whose only task charges this order."""
        charge = {"Type": "Task", "Resource": function("charge"), **fields}
        name = f"{self.name()}-{len(fields)}"
        return self.start(self.create(machine({"Charge": charge}), name=name), order)

    def test_output_and_failure_come_back(self):
        self.worker()
        execution = self.charge({"amount": 30})
        output = self.succeeds(execution)
        self.assertEqual(output["charged"], 30)
        self.assertRegex(output["payment"], r"^[0-9a-f-]{36}/r/\d+$")
        self.assertEqual(self.types(execution)[2:-2], [
            "LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded",
        ])
        ended = self.ended(self.charge({"amount": 5000}))
        cause = {"errorMessage": "the amount is over the limit of the card", "errorType": "CardDeclined"}
        self.assertEqual((ended["error"], json.loads(ended["cause"])), ("CardDeclined", cause))

    def test_other_names_of_the_function_reach_the_worker(self):
        self.worker()
        alias = self.charge({"amount": 1}, Resource="arn:aws:rpcmessage:local::function:charge")
        self.assertEqual(self.succeeds(alias)["charged"], 1)
        invoked = self.charge(
            {"amount": 2}, Resource="arn:aws:states:::lambda:invoke",
            Parameters={"FunctionName": "charge", "Payload.$": "$"},
        )
        self.assertEqual(self.succeeds(invoked)["Payload"]["charged"], 2)

    def test_heartbeats_keep_a_long_task(self):
        self.worker()
        execution = self.charge({"amount": 1, "seconds": 8}, HeartbeatSeconds=4)
        self.assertEqual(self.succeeds(execution)["charged"], 1)

    def test_the_request_of_a_killed_worker_is_answered_by_another(self):
        worker = self.worker()
        execution = self.charge({"amount": 1, "seconds": 3})
        self.event(execution, "LambdaFunctionStarted")
        worker.end(signal.SIGKILL)
        self.worker()
        self.assertEqual(self.succeeds(execution)["charged"], 1)
        self.assertEqual(self.types(execution).count("LambdaFunctionScheduled"), 1)

    def test_a_request_outlives_the_engine_that_sent_it(self):
        deployment = Deployment(self.addCleanup, functions=("charge",))
        engine, endpoint = deployment.serve()
        worker = start(self.language, deployment.prefix)
        self.addCleanup(worker.end)
        worker.says(TAKES)
        self.sfn = client(endpoint)
        execution = self.charge({"amount": 1, "seconds": 3})
        self.event(execution, "LambdaFunctionStarted")
        engine.end(signal.SIGKILL)
        self.sfn = client(deployment.serve()[1])
        self.assertEqual(self.succeeds(execution)["charged"], 1)
        self.assertEqual(self.types(execution).count("LambdaFunctionScheduled"), 1)


class PythonWithWarren(WithWarren, unittest.TestCase):
    language = Python


class NodeWithWarren(WithWarren, unittest.TestCase):
    language = Node


class RustWithWarren(WithWarren, unittest.TestCase):
    language = Rust
