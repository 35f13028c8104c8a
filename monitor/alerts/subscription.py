"""Reading the alert topics, as any subscriber may."""

from __future__ import annotations

import logging
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError
from typing_extensions import Self

from monitor.alerts.received import ReceivedAlert
from streams.errors import KafkaError
from streams.kafka.client_log import client_log
from streams.kafka.membership import leave_and_close

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""How long the broker has to answer one question."""
REMEMBERED_ALERTS = 10_000
"""How many of the latest alerts a subscriber knows by id, to drop their repeats."""
_POLL_SECONDS = 0.25


def subscribe(
    kafka: str | Mapping[str, Any],
    topics: str | Sequence[str],
    *,
    group: str | None = None,
    from_beginning: bool = False,
    timeout_seconds: float | None = None,
) -> Iterator[ReceivedAlert]:
    """Yield alerts as they are published, each once.

    Parameters
    ----------
    kafka
        Address of the brokers, ``host:port,host:port``, or librdkafka properties.
    topics
        Alert topic or topics.
    group
        Consumer group in whose name is committed what was read: an alert counts as read when the next one is
        asked for, so that one whose handling fails is read again. None to commit nothing.
    from_beginning
        Whether to begin with the oldest alert that the topic holds, where the group has not read before.
    timeout_seconds
        When to end if no alert comes; None for never.

    Raises
    ------
    KafkaError
        If the broker refuses, or, without a group, a record is no alert. With a group such a record is logged
        and skipped.
    """
    properties = {"bootstrap.servers": kafka} if isinstance(kafka, str) else kafka
    names = [topics] if isinstance(topics, str) else topics
    known = KnownAlerts()
    with AlertSubscription(properties, names, group=group, from_beginning=from_beginning) as subscription:
        heard_at = monotonic()
        while timeout_seconds is None or monotonic() - heard_at < timeout_seconds:
            for alert in subscription.poll(_POLL_SECONDS, most=1):
                if known.add(alert.id):
                    yield alert
                heard_at = monotonic()
                subscription.commit()


class KnownAlerts:
    """The ids of the latest alerts."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._order: deque[str] = deque()

    def __contains__(self, alert_id: str) -> bool:
        return alert_id in self._ids

    def add(self, alert_id: str) -> bool:
        """Remember an id; tells whether it is new."""
        if alert_id in self._ids:
            return False
        self._ids.add(alert_id)
        self._order.append(alert_id)
        if len(self._order) > REMEMBERED_ALERTS:
            self._ids.discard(self._order.popleft())
        return True


class AlertSubscription:
    """A reader of alert topics: with a group, it goes on where the group was; without, it leaves no trace.

    Parameters
    ----------
    properties
        librdkafka properties of consumers.
    topics
        Alert topics.
    group
        Consumer group; None to join none and commit nothing.
    from_beginning
        Whether to read the alerts that are in the topics already; if not, every alert is read that is
        published once the subscription exists. Of no account for partitions that the group has read before.

    Raises
    ------
    KafkaError
        If the broker does not tell which offsets there are.
    """

    def __init__(
        self,
        properties: Mapping[str, Any],
        topics: Sequence[str],
        *,
        group: str | None = None,
        from_beginning: bool = False,
    ) -> None:
        self._properties = properties
        self._group = group
        self._read: dict[tuple[str, int], int] = {}
        self._early: list[Any] = []
        self._consumer = Consumer(
            {
                **properties,
                "group.id": group or f"drift-monitor-alerts-{uuid.uuid4()}",
                "auto.offset.reset": "earliest" if from_beginning else "latest",
                "enable.auto.commit": False,
                "logger": client_log,
            }
        )
        if group is not None:
            self._consumer.subscribe(list(topics))
            return
        try:
            self._consumer.assign(
                [start for topic in topics for start in self._starts(topic, from_beginning)]
            )
        except KafkaException as error:
            self._consumer.close()
            raise KafkaError(f"Kafka does not tell where the alerts begin: {error.args[0].str()}") from error

    def poll(self, timeout_seconds: float, *, most: int = 100) -> list[ReceivedAlert]:
        """Return the alerts that arrive within the time, oldest first.

        Raises
        ------
        KafkaError
            If the broker refuses; without a group, also if a record of the topic is not an alert.
        """
        messages, self._early = self._early, []
        # What has come with the first one is taken too, but not waited for.
        messages = messages or self._consumer.consume(1, timeout_seconds)
        if len(messages) < most:
            messages += self._consumer.consume(most - len(messages), 0.0)
        alerts = []
        for message in messages:
            error = message.error()
            if error is None:
                alerts += self._alerts(message)
                self._read[message.topic(), message.partition()] = message.offset() + 1
            elif not (error.retriable() or self._may_be_refused(error)):
                raise KafkaError(f"The alert topic cannot be read: {error.str()}")
        return alerts

    def commit(self) -> None:
        """Commit for the group that all alerts returned so far are read; nothing without a group."""
        if self._group is None or not self._read:
            return
        offsets = [TopicPartition(*place, offset) for place, offset in self._read.items()]
        self._read.clear()
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            log.warning("Alerts could not be committed and may come again: %s.", error.args[0].str())

    def stay(self, seconds: float) -> None:
        """Wait without reading; the group knows that this member is alive."""
        paused = self._consumer.assignment()
        self._consumer.pause(paused)
        # Only partitions that are assigned meanwhile are not paused.
        self._early += self._consumer.consume(1, seconds)
        self._consumer.resume([place for place in paused if place in self._consumer.assignment()])

    def close(self) -> None:
        """Stop reading."""
        if self._group is None:
            self._consumer.close()
        else:
            leave_and_close(self._consumer, self._properties)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _may_be_refused(self, error: ClientError) -> bool:
        # librdkafka looks for the coordinator of a group that is never joined, and needs no right to.
        return self._group is None and error.code() == ClientError.GROUP_AUTHORIZATION_FAILED

    def _alerts(self, message: Any) -> list[ReceivedAlert]:
        try:
            return [ReceivedAlert.read(message.value() or b"")]
        except ValueError as error:
            sentence = (
                f"Offset {message.offset()} of partition {message.partition()} of topic {message.topic()!r}"
                " holds no alert of drift-monitor; is it the right topic?"
            )
            if self._group is None:
                raise KafkaError(sentence) from error
            log.error("%s It is skipped.", sentence)  # noqa: TRY400 - the traceback would tell nothing more
            return []

    def _starts(self, topic: str, from_beginning: bool) -> Iterator[TopicPartition]:
        metadata = self._consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        for number in metadata.partitions:
            partition = TopicPartition(topic, number)
            first, end = self._consumer.get_watermark_offsets(partition, timeout=ANSWER_SECONDS)
            yield TopicPartition(topic, number, first if from_beginning else end)
