"""Rejected events go to a dead-letter topic as they came, with the reason in headers."""

from __future__ import annotations

from collections.abc import Sequence

from streams import headers
from streams.events import RejectedEvent
from streams.producer import DeliveryConfirmedProducer
from streams.records import Headers, RecordBatch

LARGEST_VALUE_BYTES = 900_000
"""Longer values are cut: by default brokers refuse records over 1,048,588 bytes (message.max.bytes)."""


class DeadLetters:
    """Sends rejected records to dead-letter topics.

    Parameters
    ----------
    producer
        Confirms their delivery; offsets are committed only after that.
    """

    def __init__(self, producer: DeliveryConfirmedProducer) -> None:
        self._producer = producer

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]) -> None:
        """Send rejected records, with their original key, value and headers.

        Raises
        ------
        KafkaError
            If one of them, or an earlier record, cannot be delivered.
        """
        for event in rejected:
            value = records.values[event.row]
            added: Headers = [
                (headers.REJECT_REASON, event.reason.value.encode()),
                (headers.REJECT_DETAIL, event.detail.encode()),
                (headers.REJECT_TOPIC, records.topic.encode()),
                (headers.REJECT_PARTITION, str(records.partitions[event.row]).encode()),
                (headers.REJECT_OFFSET, str(records.offsets[event.row]).encode()),
            ]
            if value is not None and len(value) > LARGEST_VALUE_BYTES:
                added.append((headers.REJECT_TRUNCATED, str(len(value)).encode()))
                value = value[:LARGEST_VALUE_BYTES]
            original = records.headers[event.row]
            self._producer.send(topic, value, key=records.keys[event.row], headers=[*original, *added])
