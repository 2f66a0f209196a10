"""What `./run` of every example does around its own steps: it has Warren and the workers run, and speaks to them.

    ./run                               on `warren dev`, which it starts and ends, in memory and on a port of its own
    ./run --endpoint URL --amqp URL     on a `warren serve` that is there, with the workers on its RabbitMQ

Results are printed as JSON, a line each; everything else goes to standard error.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

EXAMPLES = pathlib.Path(__file__).resolve().parents[1]
ACCOUNT = "us-east-1:000000000000"
SERVES = "Warren serves the AWS Step Functions API on "
QUORUM = {"x-queue-type": "quorum"}
TEMPORARY = ("InternalServerException", "ServiceUnavailable", "ThrottlingException")
# Seconds after which what should have happened is taken for something that does not.
PATIENCE = 120


class Refused(Exception):
    """What an API answers to a request that it does not take."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


def eventually(ask, what):
    """The first answer of `ask` that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := ask()):
        if time.monotonic() > deadline:
            sys.exit(f"failed to see {what} within {PATIENCE} s")
        time.sleep(0.05)
    return answer


def result(**members):
    """Prints a line of the result."""
    print(json.dumps(members), flush=True)


def program():
    """The program `warren`: `$WARREN`, else that of the path, else one that was built here."""
    built = [str(EXAMPLES.parent / "target" / profile / "warren") for profile in ("release", "debug")]
    for candidate in [os.environ.get("WARREN", "warren"), *built]:
        if found := shutil.which(candidate):
            return found
    sys.exit("failed to find the program warren: cargo install --path engine, or say where it is in $WARREN")


def install_clients(in_javascript):
    """What the workers need to speak AMQP, once: pika, and amqplib for those in JavaScript. Without pika it begins
    again in a Python with it."""
    if importlib.util.find_spec("pika") is None:
        python = EXAMPLES / ".venv/bin/python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", EXAMPLES / ".venv"], check=True)
        requirements = EXAMPLES / "requirements.txt"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        os.execv(python, [python, *sys.argv])
    if in_javascript and not (EXAMPLES / "node_modules/amqplib").exists():
        subprocess.run(["npm", "ci", "--silent"], cwd=EXAMPLES, check=True)


class Warren:
    """A server with the workers of an example. `workers` are files of functions; `variables` is what they find in
    their environment. `over_http` is for functions that are called too often to start a process for each call."""

    def __init__(self, example, workers, over_http=False, **variables):
        parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
        parser.add_argument("--endpoint", default="http://127.0.0.1:8083", help="where warren serve answers")
        parser.add_argument("--amqp", metavar="URL", help="its RabbitMQ; without this, warren dev is started")
        parser.add_argument("--prefix", default="warren.", help="that of its queues (broker.prefix)")
        parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
        self.options = parser.parse_args()
        if not self.options.amqp and self.options.endpoint != parser.get_default("endpoint"):
            parser.error("--endpoint goes with --amqp, as the workers need RabbitMQ; warren dev is started without both")
        self.example, self.workers, self.over_http = example, workers, over_http
        self.environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
        self.processes = []

    @property
    def is_dev(self):
        return not self.options.amqp

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        in_javascript = any(worker.endswith(".js") for worker in self.workers)
        if in_javascript and not shutil.which("node"):
            sys.exit("failed to find node: this example has a worker in JavaScript; install Node.js 20.19 or later")
        if not self.is_dev:
            install_clients(in_javascript)
        try:
            (self.begin_dev if self.is_dev else self.begin_workers)()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, failure, *_):
        try:
            if failure is None and self.options.keep:
                print(f"Warren goes on at {self.endpoint} until Ctrl-C", file=sys.stderr)
                signal.sigwait({signal.SIGINT})
        except KeyboardInterrupt:
            pass
        finally:
            self.end()

    def begin_dev(self):
        """The functions are commands of the example's warren.toml, or on a port."""
        if self.over_http:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            for worker in self.workers:
                self.launch([sys.executable, worker, "--http", str(port)], "taking the calls of")
            self.environment["WARREN__FUNCTIONS__DEFAULT_URL"] = f"http://127.0.0.1:{port}"
        self.environment.setdefault("RUST_LOG", "error")
        line = self.launch([program(), "dev", "--port", "0"], SERVES)
        self.endpoint = line.removeprefix(SERVES).strip()

    def begin_workers(self):
        """The functions are queues of RabbitMQ."""
        self.endpoint = self.options.endpoint.rstrip("/")
        self.environment |= {"WARREN_AMQP_URL": self.options.amqp, "WARREN_PREFIX": self.options.prefix}
        for worker in self.workers:
            runtime = "node" if worker.endswith(".js") else sys.executable
            self.launch([runtime, worker], "taking the requests of")

    def launch(self, command, says):
        """Starts a process of the example's directory, and waits for a line that holds this."""
        process = subprocess.Popen(
            command, cwd=self.example, env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=subprocess.PIPE,
        )
        self.processes.append(process)
        said = queue.SimpleQueue()

        def echo():
            for line in process.stderr:
                print(line, end="", file=sys.stderr)
                if says in line:
                    said.put(line)
            said.put(None)

        threading.Thread(target=echo, daemon=True).start()
        name = " ".join(map(str, command))
        try:
            line = said.get(timeout=PATIENCE)
        except queue.Empty:
            sys.exit(f"failed to start {name} within {PATIENCE} s")
        return line or sys.exit(f"failed to start {name}: it ended with {process.wait()}")

    def run(self, *command):
        """Runs a program of the example to its end."""
        subprocess.run(command, cwd=self.example, env=self.environment, stdout=sys.stderr, check=True)

    def end(self):
        """Ends what was started, the server first: it has requests at the workers."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()

    def post(self, path, body, headers):
        request = urllib.request.Request(self.endpoint + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            try:
                said = json.loads(text)
                # Some names have that of their service before them, as on AWS.
                code = str(said.get("__type", error.code)).rpartition("#")[2]
            except (json.JSONDecodeError, AttributeError):
                raise Refused(str(error.code), text) from None
            raise Refused(code, said.get("message", text)) from None
        except urllib.error.URLError as error:
            sys.exit(f"failed to reach {self.endpoint}: {error.reason}; is warren serve running there?")

    def call(self, action, service="AWSStepFunctions", **request):
        """The AWS API, as any SDK speaks it: what the server cannot do at the moment is tried again."""
        target = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{service}.{action}"}
        for pause in (0.2, 0.4, 0.8, 1.6, 3.2):
            try:
                return self.post("/", request, target)
            except Refused as refused:
                if refused.code not in TEMPORARY:
                    raise
                time.sleep(pause)
        return self.post("/", request, target)

    def create(self, name, file, kind="STANDARD"):
        """A state machine as the file says it, new or changed."""
        definition = (self.example / file).read_text()
        role = "arn:aws:iam::000000000000:role/any"
        try:
            self.call("CreateStateMachine", name=name, definition=definition, roleArn=role, type=kind)
        except Refused as refused:
            if refused.code != "StateMachineAlreadyExists":
                raise
            self.call("UpdateStateMachine", stateMachineArn=machine(name), definition=definition)

    def trigger(self, file):
        """A trigger as the file says it, new or changed."""
        self.run(program(), "trigger", "create", "--replace", file, "--endpoint", self.endpoint)

    def ended(self, execution):
        """The description of an execution that is over; it may yet have to begin."""
        def closed():
            try:
                described = self.call("DescribeExecution", executionArn=execution)
            except Refused as refused:
                if refused.code != "ExecutionDoesNotExist":
                    raise
                return None
            return described if described["status"] != "RUNNING" else None
        return eventually(closed, f"the end of {execution}")

    def executions(self, name):
        """ARNs by name: those of the last thousand executions."""
        listed = self.call("ListExecutions", stateMachineArn=machine(name), maxResults=1000)
        return {each["name"]: each["executionArn"] for each in listed["executions"]}

    def put_event(self, source, detail_type, detail):
        """An event to the bus, as `aws events put-events` sends it."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        answer = self.call("PutEvents", service="AWSEvents", Entries=[entry])
        if answer["FailedEntryCount"]:
            raise Refused(answer["Entries"][0]["ErrorCode"], answer["Entries"][0]["ErrorMessage"])

    def make_queue(self, name):
        """A queue of the user's own. `warren dev` makes by itself what is missing; on RabbitMQ it is the user's."""
        if not self.is_dev:
            self.on_broker(lambda channel: channel.queue_declare(name, durable=True, arguments=QUORUM))

    def make_topic(self, name):
        """A topic, which is an exchange; as with queues."""
        if not self.is_dev:
            self.on_broker(lambda channel: channel.exchange_declare(name, "topic", durable=True))

    def on_broker(self, act):
        import pika

        with pika.BlockingConnection(pika.URLParameters(self.options.amqp)) as connection:
            act(connection.channel())

    def send(self, queue, body):
        """A message to a queue, which is made if it does not exist; as `warren queue send`."""
        self.queue(queue, "messages?declare=true", {"body": body})

    def receive(self, queue):
        """Messages of a queue, which are gone from it then; as `warren queue receive`."""
        try:
            return self.queue(queue, "receive", {"max": 100})["messages"]
        except Refused as refused:
            if refused.code == "404":
                return []
            raise

    def queue(self, queue, action, body):
        path = f"/console/api/queues/{urllib.parse.quote(queue, safe='')}/{action}"
        return self.post(path, body, {"Content-Type": "application/json"})


def machine(name):
    return f"arn:aws:states:{ACCOUNT}:stateMachine:{name}"


def execution_of(name, execution):
    return f"arn:aws:states:{ACCOUNT}:execution:{name}:{execution}"


def new_id():
    """Something that no run before had."""
    return uuid.uuid4().hex[:12]
