"""Reading a compacted topic to its end: the latest value of every key."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from streams.errors import KafkaUnavailableError
from streams.kafka.client_log import client_log

SILENCE_SECONDS = 10.0
"""How long the broker may send nothing before reading is given up, to be tried again."""


def read_latest(properties: Mapping[str, Any], topic: str) -> dict[bytes, bytes]:
    """Return the latest value of every key of a topic; keys whose latest value is a tombstone are left out.

    Parameters
    ----------
    properties
        librdkafka properties of consumers.
    topic
        The topic.

    Raises
    ------
    KafkaUnavailableError
        If the broker does not answer.
    """
    consumer = Consumer(
        {
            **properties,
            "group.id": f"drift-monitor-state-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "logger": client_log,
            # The end of a partition is told when a fetch finds nothing; there is nothing to wait for.
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        return _read_to_end(consumer, topic)
    except KafkaException as error:
        raise _unreadable(topic, error.args[0].str()) from error
    finally:
        consumer.close()


def _read_to_end(consumer: Consumer, topic: str) -> dict[bytes, bytes]:
    metadata = consumer.list_topics(topic, timeout=SILENCE_SECONDS).topics[topic]
    unread = set(metadata.partitions)
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in unread])
    latest: dict[bytes, bytes] = {}
    deadline = time.monotonic() + SILENCE_SECONDS
    while unread:
        messages = consumer.consume(10_000, 0.05)
        if messages:
            deadline = time.monotonic() + SILENCE_SECONDS
        elif time.monotonic() > deadline:
            raise _unreadable(topic, f"nothing arrived for {SILENCE_SECONDS:g} seconds")
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == ClientError._PARTITION_EOF:
                    unread.discard(message.partition())
                # librdkafka looks for the coordinator of a group that is never joined, and needs no right to.
                elif error.code() != ClientError.GROUP_AUTHORIZATION_FAILED:
                    raise _unreadable(topic, error.str())
            elif message.value() is None:
                latest.pop(message.key(), None)
            else:
                latest[message.key()] = message.value()
    return latest


def _unreadable(topic: str, reason: str) -> KafkaUnavailableError:
    return KafkaUnavailableError(f"The state topic {topic!r} cannot be read: {reason}")
