"""Following the alert topics, as any subscriber may."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer

from streams.errors import KafkaError


class AlertSubscription:
    """A reader of alert topics that leaves no trace: it is in a group of its own and commits nothing.

    Parameters
    ----------
    properties
        librdkafka properties of consumers.
    topics
        Alert topics.
    from_beginning
        Whether to read the alerts that are in the topics already.
    """

    def __init__(
        self, properties: Mapping[str, Any], topics: Sequence[str], *, from_beginning: bool = False
    ) -> None:
        self._consumer = Consumer(
            {
                **properties,
                "group.id": f"drift-monitor-alerts-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest" if from_beginning else "latest",
            }
        )
        self._consumer.subscribe(list(topics))

    def poll(self, timeout_seconds: float) -> list[dict[str, Any]]:
        """Return the alerts (CloudEvents as dictionaries) that arrive within the time, oldest first.

        Raises
        ------
        KafkaError
            If the broker refuses, or a record of the topic is not an alert.
        """
        alerts = []
        for message in self._consumer.consume(100, timeout_seconds):
            error = message.error()
            if error is not None:
                if error.retriable():
                    continue
                raise KafkaError(f"The alert topic cannot be read: {error.str()}")
            alerts.append(_alert(message))
        return alerts

    def close(self) -> None:
        """Stop reading."""
        self._consumer.close()


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
