"""What a user would write: confluent-kafka, one event after the other."""

from __future__ import annotations

import json

from confluent_kafka import Consumer
from detector import Loop

loop = Loop()
consumer = Consumer(
    {"bootstrap.servers": loop.bootstrap, "group.id": loop.group, "auto.offset.reset": "earliest"}
)
consumer.subscribe([loop.topic])
while not loop.done:
    message = consumer.poll(1.0)
    if message is not None:
        loop.take(json.loads(message.value()))
consumer.close()
