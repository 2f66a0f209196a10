"""A worker for the function `charge`. docs/guides/workers.md says what it must keep to, README.md how to run it."""

import json
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pika
from pika.exceptions import AMQPError

URL = os.environ.get("WARREN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
PREFIX = os.environ.get("WARREN_PREFIX", "warren.")
QUEUE = f"{PREFIX}functions.charge"
# All workers of a queue must declare it alike.
QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 50,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": f"{PREFIX}poison",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
CONCURRENCY = 8
RECONNECT_SECONDS = 1


def log(line):
    print(line, file=sys.stderr, flush=True)


class Failure(Exception):
    """Fails the task: Retry and Catch of the state machine match the error by its name."""

    def __init__(self, error, message):
        super().__init__(message)
        self.error = error


def charge(order, key, heartbeat):
    """The function itself. `key` is the same when the request comes again, so that nobody pays twice."""
    if not isinstance(order.get("amount"), (int, float)):
        raise Failure("InvalidOrder", "the order has no amount")
    if order["amount"] > 1000:
        raise Failure("CardDeclined", "the amount is over the limit of the card")
    for _ in range(order.get("seconds", 0)):
        time.sleep(1)
        # From the work itself and not from a timer: work that hangs must fall silent.
        heartbeat()
    return {"charged": order["amount"], "payment": key}


def answer_of(body, key, heartbeat):
    """Headers and body of the answer."""
    try:
        return {}, json.dumps(charge(json.loads(body), key, heartbeat))
    except Exception as failure:
        error = getattr(failure, "error", type(failure).__name__)
        return {"warren-error": error}, json.dumps({"errorMessage": str(failure), "errorType": error})


class Worker:
    """One connection. What fails on it leaves `run`; the broker delivers again what was not acknowledged."""

    def __init__(self, connection, threads):
        self.connection, self.threads, self.in_progress = connection, threads, 0
        self.channel = connection.channel()
        self.channel.confirm_delivery()
        self.channel.basic_qos(prefetch_count=CONCURRENCY)
        self.channel.queue_declare(QUEUE, durable=True, arguments=QUEUE_ARGUMENTS)
        self.channel.basic_consume(QUEUE, self.begin)

    def run(self, stopping):
        """Takes requests until it is to stop, finishes what was begun and leaves."""
        log(f"taking the requests of {QUEUE}")
        while not stopping.is_set():
            self.connection.process_data_events(time_limit=0.5)
            if not self.channel.consumer_tags:
                raise AMQPError(f"the queue {QUEUE} was deleted")
        for tag in self.channel.consumer_tags:
            self.channel.basic_cancel(tag)
        while self.in_progress:
            self.connection.process_data_events(time_limit=0.5)

    def begin(self, channel, method, properties, body):
        if not properties.reply_to:
            # No request: nobody waits for an answer.
            channel.basic_reject(method.delivery_tag, requeue=False)
            return
        self.in_progress += 1
        self.threads.submit(self.work, method, properties, body)

    def work(self, method, properties, body):
        """In a thread of its own: the connection must go on answering the broker's own heartbeats."""
        heartbeat = lambda: self.later(self.publish, properties, {"warren-heartbeat": "true"}, "")
        headers, answer = answer_of(body, properties.correlation_id, heartbeat)
        self.later(self.finish, method, properties, headers, answer)

    def later(self, action, *arguments):
        """Only its own thread may use a connection. One that is lost has nobody to answer to."""
        try:
            self.connection.add_callback_threadsafe(lambda: action(*arguments))
        except AMQPError:
            pass

    def finish(self, method, properties, headers, answer):
        self.publish(properties, headers, answer)
        self.channel.basic_ack(method.delivery_tag)
        self.in_progress -= 1

    def publish(self, request, headers, body):
        """Returns when the broker has it."""
        self.channel.basic_publish("", request.reply_to, body.encode(), pika.BasicProperties(
            content_type="application/json", delivery_mode=2, correlation_id=request.correlation_id, headers=headers,
        ))


def main():
    stopping = threading.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: stopping.set())
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        while not stopping.is_set():
            try:
                with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
                    Worker(connection, threads).run(stopping)
            except (AMQPError, OSError) as error:
                log(f"connecting again in {RECONNECT_SECONDS} s: {error!r}")
                stopping.wait(RECONNECT_SECONDS)


main()
