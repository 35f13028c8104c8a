"""Offsets of a consumer group: what it has committed, and what the partitions hold."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from streams.errors import KafkaError, KafkaUnavailableError
from streams.kafka.commits import Mark

log = logging.getLogger(__name__)

METADATA_TIMEOUT_SECONDS = 10.0
COORDINATOR_TIMEOUT_SECONDS = 5.0
"""How long the group's coordinator may take to answer a worker that stops."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class GroupOffsets:
    """Asks and tells Kafka about the offsets of a consumer's group.

    Parameters
    ----------
    consumer
        A consumer of the group.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def commit(self, marks: Mapping[Partition, Mark], *, wait: bool) -> None:
        """Commit positions with their metadata.

        Raises
        ------
        KafkaError
            If the broker refuses, as it does when the group has given the partitions to another member.
        """
        if not marks:
            return
        offsets = [
            TopicPartition(p.topic, p.number, mark.offset, metadata=mark.metadata())
            for p, mark in marks.items()
        ]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            raise KafkaError(f"Kafka refused to commit offsets: {error.args[0].str()}") from error

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset of a partition and the offset after its last.

        Raises
        ------
        KafkaUnavailableError
            If the broker does not answer.
        """
        try:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(*partition), timeout=METADATA_TIMEOUT_SECONDS
            )
        except KafkaException as error:
            raise KafkaUnavailableError(
                f"Kafka does not tell the offsets of partition {partition.number} of topic"
                f" {partition.topic!r}: {error.args[0].str()}"
            ) from error
        return low, high

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, Mark | None]:
        """Return what the group has committed for partitions; None where it is nothing.

        Raises
        ------
        KafkaUnavailableError
            If the broker does not answer.
        """
        try:
            found = self._consumer.committed(
                [TopicPartition(*partition) for partition in partitions], timeout=METADATA_TIMEOUT_SECONDS
            )
        except KafkaException as error:
            raise KafkaUnavailableError(
                f"Kafka does not tell what the group has committed: {error.args[0].str()}"
            ) from error
        return {Partition(tp.topic, tp.partition): Mark.read(tp.offset, tp.metadata) for tp in found}

    def offset_at(self, partition: Partition, time_ms: int, default: int) -> int:
        """Return the offset of the first record not older than a time; ``default`` when there is none.

        Raises
        ------
        KafkaUnavailableError
            If the broker does not answer.
        """
        try:
            (found,) = self._consumer.offsets_for_times(
                [TopicPartition(*partition, time_ms)], timeout=METADATA_TIMEOUT_SECONDS
            )
        except KafkaException as error:
            raise KafkaUnavailableError(
                f"Kafka does not tell the offsets of partition {partition.number} of topic"
                f" {partition.topic!r}: {error.args[0].str()}"
            ) from error
        return default if found.offset < 0 else int(found.offset)

    def answers_for(self, partition: Partition) -> bool:
        """Tell whether the group's coordinator answers; without it nothing can be committed or left."""
        try:
            self._consumer.committed([TopicPartition(*partition)], timeout=COORDINATOR_TIMEOUT_SECONDS)
        except KafkaException:
            return False
        return True


def note_commit(error: ClientError | None, _: list[TopicPartition]) -> None:
    """Log that a commit was refused of which nobody awaits the answer."""
    if error is not None:
        log.warning("Kafka refused to commit offsets: %s. They are committed next time.", error.str())
