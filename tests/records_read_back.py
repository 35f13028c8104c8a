"""Reading a topic back in a test."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Message, TopicPartition


def read_back(bootstrap: str, topic: str, count: int, seconds: float = 30.0) -> list[Message]:
    """Read the first ``count`` records of a topic from all its partitions."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "log_level": 0})
    deadline = time.monotonic() + seconds
    found: list[Message] = []
    try:
        partitions = consumer.list_topics(topic, timeout=seconds).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        while len(found) < count:
            assert time.monotonic() < deadline, f"{topic} holds {len(found)} records, expected {count}"
            found += consumer.consume(count - len(found), 0.2)
    finally:
        consumer.close()
    assert all(message.error() is None for message in found)
    return found
