"""Reading a stretch of one partition, and the offsets of a group, without being one of its members."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import KafkaError as ClientError

from streams.errors import KafkaUnavailableError
from streams.kafka.client_log import client_log
from streams.kafka.consumer import OWNED_PROPERTIES
from streams.kafka.group_offsets import GroupOffsets, Partition, note_commit
from streams.records import Message, RecordBatch

SILENCE_SECONDS = 10.0
"""How long the broker may send nothing before reading is given up, to be tried again."""
POLL_SECONDS = 0.05
"""How long to wait for a batch to fill; where offsets have no record it never does."""


class PartitionReader(GroupOffsets):
    """Reads stretches of partitions, and reads and commits the offsets of a group that has no members.

    Parameters
    ----------
    properties
        librdkafka properties of consumers; ``group.id`` names the group.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        super().__init__(
            Consumer(
                {
                    **properties,
                    **OWNED_PROPERTIES,
                    "enable.partition.eof": True,
                    # The end of a partition is told when a fetch finds nothing; there is nothing to wait for.
                    "fetch.wait.max.ms": 10,
                    "logger": client_log,
                    "on_commit": note_commit,
                }
            )
        )

    def poll(self) -> None:
        """Take note of what Kafka has answered; not while a stretch is read."""
        self._consumer.poll(0)

    def read(
        self, partition: Partition, start: int, end: int, most: int
    ) -> Generator[RecordBatch, None, None]:
        """Yield the records from ``start`` up to, but not including, ``end``, at most ``most`` at a time.

        One stretch is read at a time; close the generator before the next.

        Raises
        ------
        KafkaUnavailableError
            If the broker sends nothing, or no longer holds ``start``.
        """
        self._consumer.assign([TopicPartition(*partition, start)])
        try:
            reached = start
            while reached < end:
                messages, reached = self._next(partition, reached, end, most)
                if messages:
                    yield RecordBatch(partition.topic, messages)
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def _next(self, partition: Partition, reached: int, end: int, most: int) -> tuple[list[Message], int]:
        """Read on; returns records, and the offset that comes next."""
        found: list[Message] = []
        deadline = time.monotonic() + SILENCE_SECONDS
        while not (arrived := self._consumer.consume(min(most, end - reached), POLL_SECONDS)):
            if time.monotonic() > deadline:
                raise _unreadable(partition, f"nothing arrived for {SILENCE_SECONDS:g} seconds")
        for message in arrived:
            error = message.error()
            if error is None:
                # Offsets without a record, such as the end of a transaction, are passed over by the client.
                if message.offset() >= end:
                    return found, end
                found.append(message)
                reached = message.offset() + 1
            elif error.code() == ClientError._PARTITION_EOF:
                return found, end
            else:
                raise _unreadable(partition, error.str())
        return found, reached


def _unreadable(partition: Partition, reason: str) -> KafkaUnavailableError:
    return KafkaUnavailableError(
        f"Partition {partition.number} of topic {partition.topic!r} cannot be read: {reason}"
    )
