"""The state topic: where every segment stands, kept in Kafka so that the loss of Redis loses nothing.

It is compacted and keyed by monitor and segment. A standing is delivered here before it is settled in Redis.
From the latest ones, and the events from the committed low watermark on, windows are rebuilt as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monitor.verdicts.standing import Standing
from streams.kafka.compacted_topic import read_latest
from streams.kafka.producer import PendingDelivery, Sender
from streams.state.founding import Foundation

DELIVERY_SECONDS = 10.0


class StateTopic:
    """Writes and recalls standings.

    Parameters
    ----------
    topic
        The topic.
    producer
        Sends standings.
    consumer_properties
        librdkafka properties of consumers, to recall them.
    """

    def __init__(self, topic: str, producer: Sender, consumer_properties: Mapping[str, Any]) -> None:
        self._topic = topic
        self._producer = producer
        self._properties = consumer_properties

    def announce(self, monitor: str, segment: str, standing: Standing) -> PendingDelivery:
        """Send where a segment stands."""
        return self._producer.send(self._topic, standing.encode(), key=f"{monitor}/{segment}".encode())

    def recall(self, monitor: str) -> dict[str, Foundation]:
        """Return where the segments of a monitor stand.

        Raises
        ------
        KafkaUnavailableError
            If the broker does not answer.
        StateError
            If the topic holds something else.
        """
        self._producer.flush(DELIVERY_SECONDS)
        found = {}
        for key, value in read_latest(self._properties, self._topic).items():
            name, _, segment = key.decode().partition("/")
            if name == monitor:
                found[segment] = Standing.foundation(value)
        return found
