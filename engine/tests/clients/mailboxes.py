"""What others see of messages: queues and topics of the test on the broker of `warren serve`.

The broker of `warren dev` is inside the process, and nobody reads it over AMQP: there, a mailbox is not there and
stays empty.
"""

import uuid

import pika

from own_names import BROKER
from support import KIND, eventually

HAS_BROKER = KIND == "serve"


class Mailbox:
    """A queue with a name of its own. `cleanup` takes what removes it; `declared` is whether it is there."""

    def __init__(self, cleanup, declared=True):
        self.name = f"test-{uuid.uuid4().hex}"
        if not HAS_BROKER:
            return
        self.connection = pika.BlockingConnection(pika.URLParameters(BROKER))
        self.channel = self.connection.channel()
        cleanup(self.connection.close)
        cleanup(lambda: self.channel.queue_delete(self.name))
        if declared:
            self.channel.queue_declare(self.name, durable=True)

    @property
    def url(self):
        return f"https://sqs.us-east-1.amazonaws.com/000000000000/{self.name}"

    def bind(self, exchange, pattern):
        """From now on it gets what is published there."""
        if HAS_BROKER:
            self.channel.queue_bind(self.name, exchange, pattern)

    def receive(self):
        """Waits for a message: its properties and its body."""
        def there():
            method, properties, body = self.channel.basic_get(self.name, auto_ack=True)
            return (properties, body.decode()) if method else None
        return eventually(there)


class Topic(Mailbox):
    """An exchange, and a queue that is bound to it."""

    def __init__(self, cleanup, pattern="#"):
        super().__init__(cleanup)
        self.topic = f"topic-{uuid.uuid4().hex}"
        if HAS_BROKER:
            self.channel.exchange_declare(self.topic, "topic", durable=True)
            cleanup(lambda: self.channel.exchange_delete(self.topic))
            self.bind(self.topic, pattern)

    @property
    def arn(self):
        return f"arn:aws:sns:us-east-1:000000000000:{self.topic}"
