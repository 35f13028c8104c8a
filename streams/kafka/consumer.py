"""Reading Kafka in batches, with offsets committed by hand."""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import KafkaError as ClientError

from streams.errors import KafkaError
from streams.kafka.client_log import client_log
from streams.kafka.group_offsets import GroupOffsets, Partition, note_commit
from streams.kafka.membership import leave_and_close
from streams.records import Message, RecordBatch

log = logging.getLogger(__name__)


OWNED_PROPERTIES: Mapping[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
    "enable.partition.eof": False,
    # Where reading begins is always said; a place that the topic no longer holds must not be passed over.
    "auto.offset.reset": "error",
}
"""Properties that the promise of counting each event once depends on; they are not the user's to set."""


class BatchConsumer(GroupOffsets):
    """A member of a consumer group that hands over records in batches, by topic.

    Parameters
    ----------
    properties
        librdkafka properties; those in ``OWNED_PROPERTIES`` are overridden.
    topics
        Topics to read.
    on_assigned
        Told of newly assigned partitions; returns the offset at which to begin reading each.
    on_revoked
        Told of partitions about to be given up, in time to commit them.
    on_lost
        Told of partitions that already belong to another member; nothing of them may be committed.
    on_error
        Called at every error that Kafka reports.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        topics: Sequence[str],
        *,
        on_assigned: Callable[[Sequence[Partition]], Mapping[Partition, int]],
        on_revoked: Callable[[Sequence[Partition]], None],
        on_lost: Callable[[Sequence[Partition]], None],
        on_error: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked
        self._on_lost = on_lost
        self._on_error = on_error
        self._fatal: str | None = None
        self.out_of_reach: set[Partition] = set()
        self._topics: set[str] = set()
        self._properties = properties
        self._any_partition = Partition(topics[0], 0)
        super().__init__(
            Consumer(
                {
                    **properties,
                    **OWNED_PROPERTIES,
                    "logger": client_log,
                    "error_cb": self._note_error,
                    "on_commit": note_commit,
                }
            )
        )
        self.subscribe(topics)

    def subscribe(self, topics: Sequence[str]) -> None:
        """Read these topics from now on; partitions come and go as the group decides."""
        if set(topics) == self._topics:
            return
        self._topics = set(topics)
        self._consumer.subscribe(
            list(topics), on_assign=self._assign, on_revoke=self._revoke, on_lost=self._lose
        )

    @property
    def joined(self) -> bool:
        """Whether the group has taken this consumer in; a member may be without partitions."""
        return bool(self._consumer.memberid())

    def poll(self, most: int, timeout_seconds: float, fill_seconds: float = 0.0) -> list[RecordBatch]:
        """Return the next records, a batch for each topic.

        Parameters
        ----------
        most
            Most records to return.
        timeout_seconds
            How long to wait for the first of them.
        fill_seconds
            How long to wait for more once there is one; what has come already is never waited for.

        Raises
        ------
        KafkaError
            If the broker refuses this consumer for good.
        """
        # A single call would wait for the whole time unless it finds as many as it may return.
        messages: list[Message] = self._consumer.consume(1, timeout_seconds)
        if messages and most > 1:
            messages += self._consumer.consume(most - 1, fill_seconds)
        if self._fatal is not None:
            raise KafkaError(self._fatal)
        failed = [message for message in messages if message.error() is not None]  # type: ignore[attr-defined]
        if failed:
            messages = [message for message in messages if message.error() is None]  # type: ignore[attr-defined]
            self._note_failed(failed)
        return _by_topic(messages)

    def seek(self, starts: Mapping[Partition, int]) -> None:
        """Read assigned partitions again from the offsets given."""
        self.out_of_reach.difference_update(starts)
        # Unlike librdkafka's own seek, this also works for a partition whose fetching has not begun yet.
        self._consumer.incremental_unassign([TopicPartition(*partition) for partition in starts])
        self._consumer.incremental_assign(
            [TopicPartition(p.topic, p.number, offset) for p, offset in starts.items()]
        )

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Stop fetching partitions; the membership in the group stays alive."""
        self._consumer.pause([TopicPartition(*partition) for partition in partitions])

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Go on fetching partitions."""
        self._consumer.resume([TopicPartition(*partition) for partition in partitions])

    def group_answers(self) -> bool:
        """Tell whether the group's coordinator answers; without it nothing can be committed or left."""
        return self.answers_for(self._any_partition)

    def close(self) -> None:
        """Leave the group; partitions are revoked first. Takes long if the group does not answer."""
        leave_and_close(self._consumer, self._properties)

    def abandon(self) -> None:
        """Leave everything as it is, when the group does not answer and the process is about to end.

        Destroying a client that has not left its group waits for the group, now and then for ever; and
        destroyed it would be as soon as nothing refers to it, when the interpreter ends at the latest.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._consumer))

    def _assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        if not assigned:
            consumer.incremental_assign([])
            return
        starts = self._on_assigned([Partition(p.topic, p.partition) for p in assigned])
        consumer.incremental_assign(
            [TopicPartition(p.topic, p.number, offset) for p, offset in starts.items()]
        )

    def _revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self._on_revoked([Partition(p.topic, p.partition) for p in revoked])
        consumer.incremental_unassign(revoked)
        self.out_of_reach.difference_update(Partition(p.topic, p.partition) for p in revoked)

    def _lose(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._on_lost([Partition(p.topic, p.partition) for p in lost])
        consumer.incremental_unassign(lost)
        self.out_of_reach.difference_update(Partition(p.topic, p.partition) for p in lost)

    def _note_failed(self, messages: Iterable[Any]) -> None:
        """Take note of what Kafka hands over in place of records."""
        for message in messages:
            error = message.error()
            if error.code() == ClientError._AUTO_OFFSET_RESET:
                self.out_of_reach.add(Partition(str(message.topic()), int(message.partition() or 0)))
            elif error.fatal() or error.code() in _REFUSALS:
                raise KafkaError(_refused(error, message.topic()))
            else:
                log.warning("Kafka reports for topic %r: %s.", message.topic(), error.str())

    def _note_error(self, error: ClientError) -> None:
        self._on_error()
        if error.fatal() or error.code() in _REFUSALS:
            self._fatal = _refused(error, None)
        elif error.code() in _LOGIN_REFUSALS:
            log.error(
                "Kafka refused the login: %s; check kafka.sasl.username and kafka.sasl.password, and start"
                " again if they are new. Trying again.",
                error.str(),
            )


_REFUSALS = {
    ClientError.TOPIC_AUTHORIZATION_FAILED: "READ on the topic",
    ClientError.GROUP_AUTHORIZATION_FAILED: "READ on the group",
}
"""Errors that no waiting mends, and the right that would."""
_LOGIN_REFUSALS = frozenset({ClientError._AUTHENTICATION, ClientError.SASL_AUTHENTICATION_FAILED})
"""Errors that pass when a password that is being changed is the right one again."""


def _by_topic(messages: Sequence[Message]) -> list[RecordBatch]:
    topics = [message.topic() for message in messages]
    if topics and topics.count(topics[0]) == len(topics):
        return [RecordBatch(str(topics[0]), messages)]
    return [
        RecordBatch(
            str(name), [message for message, topic in zip(messages, topics, strict=True) if topic == name]
        )
        for name in dict.fromkeys(topics)
    ]


def _refused(error: ClientError, topic: str | None) -> str:
    if error.code() not in _REFUSALS:
        return f"Kafka refuses this consumer: {error.str()}"
    reading = "" if topic is None else f" to read topic {topic!r}"
    right = _REFUSALS[error.code()]
    return f"The Kafka user lacks a right{reading}: {error.str()}; grant {right} and start again."
