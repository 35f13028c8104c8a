"""Following the alert topics, as any subscriber may."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from streams.errors import KafkaError

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""How long the broker has to answer one question."""


class AlertSubscription:
    """A reader of alert topics that leaves no trace: it joins no group and commits nothing.

    Parameters
    ----------
    properties
        librdkafka properties of consumers.
    topics
        Alert topics.
    from_beginning
        Whether to read the alerts that are in the topics already; if not, every alert is read that is
        published once the subscription exists.

    Raises
    ------
    KafkaError
        If the broker does not tell which offsets there are.
    """

    def __init__(
        self, properties: Mapping[str, Any], topics: Sequence[str], *, from_beginning: bool = False
    ) -> None:
        self._consumer = Consumer(
            {
                **properties,
                "group.id": f"drift-monitor-alerts-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "logger": log,
            }
        )
        try:
            self._consumer.assign(
                [start for topic in topics for start in self._starts(topic, from_beginning)]
            )
        except KafkaException as error:
            self._consumer.close()
            raise KafkaError(f"Kafka does not tell where the alerts begin: {error.args[0].str()}") from error

    def poll(self, timeout_seconds: float) -> list[dict[str, Any]]:
        """Return alerts (CloudEvents as dictionaries), oldest first, as soon as there are any.

        Returns none when there are none within the time.

        Raises
        ------
        KafkaError
            If the broker refuses, or a record of the topic is not an alert.
        """
        alerts = []
        messages = self._consumer.consume(1, timeout_seconds)
        for message in messages + self._consumer.consume(100, 0.0):
            error = message.error()
            if error is not None:
                # librdkafka looks for the coordinator of a group that is never joined, and needs no right to.
                if error.retriable() or error.code() == ClientError.GROUP_AUTHORIZATION_FAILED:
                    continue
                raise KafkaError(f"The alert topic cannot be read: {error.str()}")
            alerts.append(_alert(message))
        return alerts

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()

    def _starts(self, topic: str, from_beginning: bool) -> Iterator[TopicPartition]:
        metadata = self._consumer.list_topics(topic, timeout=ANSWER_SECONDS).topics[topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        for number in metadata.partitions:
            partition = TopicPartition(topic, number)
            first, end = self._consumer.get_watermark_offsets(partition, timeout=ANSWER_SECONDS)
            yield TopicPartition(topic, number, first if from_beginning else end)


def _alert(message: Any) -> dict[str, Any]:
    try:
        event = json.loads(message.value())
        if event["specversion"] == "1.0" and event["type"].startswith("drift-monitor."):
            return dict(event)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise KafkaError(
        f"Offset {message.offset()} of partition {message.partition()} of topic {message.topic()!r} holds no"
        " alert of drift-monitor; is it the right topic?"
    )
