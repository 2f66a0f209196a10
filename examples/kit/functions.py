"""Functions of state machines, in Python: written once, served in the way that the server in use can call them.

    python3 functions.py               takes the requests of all of them from RabbitMQ, for `warren serve`
    python3 functions.py NAME          answers one call: JSON on standard input, JSON on standard output
    python3 functions.py --http PORT   answers the calls of the Lambda Invoke API

An example's own `functions.py` says what they do and ends with `serve({"name": function})`. docs/guides/workers.md
says what a worker on RabbitMQ must keep to; examples/workers/python has one with heartbeats.
"""

import functools
import json
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONCURRENCY = 8
RECONNECT_SECONDS = 1


class Failure(Exception):
    """Fails the task: Retry and Catch of the state machine match the error by its name."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


def serve(functions):
    """Serves functions by name, as the command line says."""
    match sys.argv[1:]:
        case []:
            on_rabbitmq(functions)
        case ["--http", port]:
            on_http(functions, int(port))
        case [name] if name in functions:
            answer, has_failed = answer_to(functions[name], sys.stdin.read())
            print(answer)
            sys.exit(has_failed)
        case _:
            sys.exit(f"usage: functions.py [--http PORT | {' | '.join(functions)}]")


def answer_to(function, payload):
    """The answer as JSON, and whether it says why the function failed."""
    try:
        return json.dumps(function(json.loads(payload))), False
    except Exception as failure:
        error = getattr(failure, "error", type(failure).__name__)
        return json.dumps({"errorType": error, "errorMessage": str(failure)}), True


def log(line):
    print(line, file=sys.stderr, flush=True)


def on_http(functions, port):
    """A host of the Lambda Invoke API, for `functions.default_url`."""

    class Invocation(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body of an answer are two packets; the second must not wait for the first.
        disable_nagle_algorithm = True

        def do_POST(self):
            # /2015-03-31/functions/NAME/invocations
            name = self.path.split("/")[3]
            payload = self.rfile.read(int(self.headers["Content-Length"]))
            if name in functions:
                answer, has_failed = answer_to(functions[name], payload)
                self.answer(200, answer, {"X-Amz-Function-Error": "Unhandled"} if has_failed else {})
            else:
                unknown = json.dumps({"Type": "User", "Message": f"Function not found: {name}"})
                self.answer(404, unknown, {"X-Amzn-ErrorType": "ResourceNotFoundException"})

        def answer(self, status, text, headers):
            self.send_response(status)
            for header, value in {"Content-Length": str(len(text.encode())), **headers}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            """Nothing: there are thousands."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Invocation)
    for number in (signal.SIGINT, signal.SIGTERM):
        # A server cannot be told to stop by the thread that it runs in.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    log(f"taking the calls of {', '.join(functions)} on port {server.server_port}")
    server.serve_forever()


def on_rabbitmq(functions):
    """One connection after the other, until told to stop."""
    import pika
    from pika.exceptions import AMQPError

    url = os.environ.get("WARREN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        while not stopping.is_set():
            try:
                with pika.BlockingConnection(pika.URLParameters(url)) as connection:
                    Worker(connection, threads, functions).run(stopping)
            except (AMQPError, OSError) as error:
                log(f"connecting again in {RECONNECT_SECONDS} s: {error!r}")
                stopping.wait(RECONNECT_SECONDS)


def queue_arguments(prefix):
    """All workers of a queue must declare it alike."""
    return {
        "x-queue-type": "quorum",
        "x-delivery-limit": 50,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": f"{prefix}poison",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


class Worker:
    """One connection. What fails on it leaves `run`; the broker delivers again what was not acknowledged."""

    def __init__(self, connection, threads, functions):
        self.connection, self.threads, self.in_progress = connection, threads, 0
        prefix = os.environ.get("WARREN_PREFIX", "warren.")
        self.queues = {f"{prefix}functions.{name}": function for name, function in functions.items()}
        self.channel = connection.channel()
        self.channel.confirm_delivery()
        self.channel.basic_qos(prefetch_count=CONCURRENCY)
        for queue, function in self.queues.items():
            self.channel.queue_declare(queue, durable=True, arguments=queue_arguments(prefix))
            self.channel.basic_consume(queue, functools.partial(self.begin, function))

    def run(self, stopping):
        """Takes requests until it is to stop, finishes what was begun and leaves."""
        log(f"taking the requests of {', '.join(self.queues)}")
        while not stopping.is_set():
            self.connection.process_data_events(time_limit=0.5)
            if len(self.channel.consumer_tags) < len(self.queues):
                raise OSError("a queue was deleted")
        for tag in self.channel.consumer_tags:
            self.channel.basic_cancel(tag)
        while self.in_progress:
            self.connection.process_data_events(time_limit=0.5)

    def begin(self, function, channel, method, properties, body):
        if not properties.reply_to:
            # No request: nobody waits for an answer.
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        self.in_progress += 1
        self.threads.submit(self.work, function, method, properties, body)

    def work(self, function, method, properties, body):
        """In a thread of its own: the connection must go on answering the broker's heartbeats."""
        from pika.exceptions import AMQPError

        answer, has_failed = answer_to(function, body)
        finish = functools.partial(self.finish, method, properties, answer, has_failed)
        try:
            # Only its own thread may use a connection.
            self.connection.add_callback_threadsafe(finish)
        except AMQPError:
            # It is lost, and with it whom to answer to: the request comes again.
            pass

    def finish(self, method, request, answer, has_failed):
        """Answers, which returns when the broker has it, and acknowledges only then."""
        from pika import BasicProperties

        headers = {"warren-error": json.loads(answer)["errorType"]} if has_failed else {}
        self.channel.basic_publish("", request.reply_to, answer.encode(), BasicProperties(
            content_type="application/json", delivery_mode=2, correlation_id=request.correlation_id, headers=headers,
        ))
        self.channel.basic_ack(method.delivery_tag)
        self.in_progress -= 1
