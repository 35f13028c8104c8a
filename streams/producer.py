"""Writing to Kafka so that nothing is lost unnoticed: every record is confirmed, or is an error."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Producer

from streams.errors import KafkaError, KafkaUnavailableError
from streams.records import Headers

log = logging.getLogger(__name__)

OWNED_PROPERTIES: Mapping[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "delivery.timeout.ms": 0,
}
"""Retries never duplicate or reorder, and never end: a broker that is away for an hour delays, not loses."""

FULL_QUEUE_WAIT_SECONDS = 0.1


class PendingDelivery:
    """One record on its way to the broker.

    Attributes
    ----------
    delivered
        Whether the broker has acknowledged it.
    """

    __slots__ = ("delivered",)

    def __init__(self) -> None:
        self.delivered = False


class DeliveryConfirmedProducer:
    """A producer that knows what was delivered.

    Parameters
    ----------
    properties
        librdkafka properties of producers; those in ``OWNED_PROPERTIES`` are overridden.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        own = {name: value for name, value in properties.items() if name != "message.timeout.ms"}
        self._producer = Producer({**own, **OWNED_PROPERTIES, "logger": log, "error_cb": self._note_error})
        self._failure: str | None = None
        self._undelivered = 0

    @property
    def undelivered(self) -> int:
        """Number of records sent and not yet acknowledged."""
        return self._undelivered

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
    ) -> PendingDelivery:
        """Send a record; waits only while the send queue is full.

        Raises
        ------
        KafkaError
            If this or an earlier record cannot be delivered.
        """
        delivery = PendingDelivery()

        def on_delivery(error: ClientError | None, _: object) -> None:
            self._undelivered -= 1
            if error is None:
                delivery.delivered = True
            else:
                self._note_failure(topic, error)

        options: dict[str, Any] = {} if partition is None else {"partition": partition}
        while True:
            self.poll()
            try:
                self._producer.produce(
                    topic, value, key, headers=headers or None, on_delivery=on_delivery, **options
                )
            except BufferError:
                self._producer.poll(FULL_QUEUE_WAIT_SECONDS)
            except KafkaException as error:
                raise KafkaError(_undeliverable(topic, error.args[0])) from error
            else:
                self._undelivered += 1
                return delivery

    def poll(self) -> None:
        """Take note of deliveries so far.

        Raises
        ------
        KafkaError
            If a record cannot be delivered.
        """
        self._producer.poll(0)
        if self._failure is not None:
            raise KafkaError(self._failure)

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is delivered.

        Raises
        ------
        KafkaError
            If a record cannot be delivered.
        KafkaUnavailableError
            If some are not delivered in time.
        """
        self._producer.flush(timeout_seconds)
        self.poll()
        if self._undelivered:
            raise KafkaUnavailableError(
                f"Kafka has not acknowledged {self._undelivered} records within {timeout_seconds:g} seconds."
            )

    def _note_error(self, error: ClientError) -> None:
        if error.fatal():
            self._failure = f"Kafka refuses this producer: {error.str()}"

    def _note_failure(self, topic: str, error: ClientError) -> None:
        if self._failure is None:
            self._failure = _undeliverable(topic, error)


def _undeliverable(topic: str, error: ClientError) -> str:
    return f"A record could not be delivered to topic {topic!r}: {error.str()}"
