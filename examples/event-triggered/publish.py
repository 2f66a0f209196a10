"""Publishes an event, with nothing but an AMQP client: python3 publish.py EVENT"""

import os
import sys
import uuid

import pika

URL = os.environ.get("WARREN_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")
EXCHANGE = os.environ.get("WARREN_PREFIX", "warren.") + "triggers"

with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
    channel = connection.channel()
    # So that it fails if the broker does not have it, or nobody waits for events like this.
    channel.confirm_delivery()
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=2, message_id=str(uuid.uuid4()))
    channel.basic_publish(EXCHANGE, "shop", sys.argv[1].encode(), properties, mandatory=True)
