"""Writing to Kafka so that nothing is lost unnoticed: every record is confirmed, or is an error."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Producer

from streams.errors import KafkaError, KafkaUnavailableError
from streams.kafka.client_log import client_log
from streams.records import Headers, Message

OWNED_PROPERTIES: Mapping[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "delivery.timeout.ms": 0,
}
"""Retries never duplicate or reorder, and never end: a broker that is away for an hour delays, not loses."""

FULL_QUEUE_WAIT_SECONDS = 0.1


class Content(NamedTuple):
    """What a record holds."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers | None = None


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


class Sender(Protocol):
    """Sends records and knows what was delivered, by whatever client."""

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        smaller: Iterable[Content] = (),
    ) -> PendingDelivery:
        """Send a record, or, while it is too large for the broker, what of ``smaller`` comes next."""
        ...

    def send_all(self, topic: str, values: Sequence[bytes], keys: Sequence[bytes | None]) -> None:
        """Send many small records, each by its key."""
        ...

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is delivered."""
        ...


class DeliveryConfirmedProducer:
    """A producer that knows what was delivered.

    Parameters
    ----------
    properties
        librdkafka properties of producers; those in ``OWNED_PROPERTIES`` are overridden.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        own = {name: value for name, value in properties.items() if name != "message.timeout.ms"}
        self._producer = Producer(
            {**own, **OWNED_PROPERTIES, "logger": client_log, "error_cb": self._note_error}
        )
        self._failure: str | None = None
        self._undelivered = 0
        self._refused: deque[_Sending] = deque()
        self._alone: _Sending | None = None

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
        smaller: Iterable[Content] = (),
    ) -> PendingDelivery:
        """Send a record; waits only while the send queue is full.

        Parameters
        ----------
        topic
            Where it goes.
        value, key, headers
            What it holds.
        partition
            Which partition; by the key when None.
        smaller
            What to send instead, one after the other, while the broker takes no record so large.

        Raises
        ------
        KafkaError
            If this or an earlier record cannot be delivered.
        """
        self.poll()
        sending = _Sending(topic, partition, Content(value, key, headers), iter(smaller))
        self._alone = None
        self._produce(sending)
        self._undelivered += 1
        return sending.delivery

    def send_all(self, topic: str, values: Sequence[bytes], keys: Sequence[bytes | None]) -> None:
        """Send many small records, each by its key; waits only while the send queue is full.

        Nobody learns of a single one's delivery, which makes them cheap; ``flush`` waits for them all.

        Raises
        ------
        KafkaError
            If one of them, or an earlier record, cannot be delivered.
        """
        self.poll()
        produce, on_delivery = self._producer.produce, self._note_one_of_many
        for value, key in zip(values, keys, strict=True):
            while True:
                try:
                    produce(topic, value, key, on_delivery=on_delivery)
                except BufferError:
                    self._producer.poll(FULL_QUEUE_WAIT_SECONDS)
                except KafkaException as exception:
                    raise KafkaError(_undeliverable(topic, exception.args[0])) from exception
                else:
                    break
            self._undelivered += 1

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

        What was refused for its size is sent again now: first as it is but alone, because a topic's limit is
        for records that travel together, then with less in it.

        Raises
        ------
        KafkaError
            If a record cannot be delivered.
        KafkaUnavailableError
            If some are not delivered in time.
        """
        deadline = time.monotonic() + timeout_seconds
        self._producer.flush(timeout_seconds)
        while self._refused and (left := deadline - time.monotonic()) > 0:
            self._alone = self._refused.popleft()
            self._produce(self._alone)
            self._producer.flush(left)
        self.poll()
        if self._undelivered:
            raise KafkaUnavailableError(
                f"Kafka has not acknowledged {self._undelivered} records within {timeout_seconds:g} seconds."
            )

    def _produce(self, sending: _Sending) -> None:
        def on_delivery(error: ClientError | None, _: object) -> None:
            self._note_delivery(sending, error)

        options: dict[str, Any] = {} if sending.partition is None else {"partition": sending.partition}
        while True:
            value, key, headers = sending.content
            try:
                self._producer.produce(
                    sending.topic, value, key, headers=headers or None, on_delivery=on_delivery, **options
                )
            except BufferError:
                self._producer.poll(FULL_QUEUE_WAIT_SECONDS)
            except KafkaException as exception:
                error: ClientError = exception.args[0]
                if error.code() != ClientError.MSG_SIZE_TOO_LARGE or not sending.shrink():
                    raise KafkaError(_undeliverable(sending.topic, error)) from exception
            else:
                return

    def _note_delivery(self, sending: _Sending, error: ClientError | None) -> None:
        too_large = error is not None and error.code() == ClientError.MSG_SIZE_TOO_LARGE
        if too_large and (sending is not self._alone or sending.shrink()):
            self._refused.append(sending)
            return
        self._undelivered -= 1
        if error is None:
            sending.delivery.delivered = True
        elif self._failure is None:
            self._failure = _undeliverable(sending.topic, error)

    def _note_one_of_many(self, error: ClientError | None, message: Message) -> None:
        self._undelivered -= 1
        if error is not None and self._failure is None:
            self._failure = _undeliverable(str(message.topic()), error)

    def _note_error(self, error: ClientError) -> None:
        if error.fatal():
            self._failure = f"Kafka refuses this producer: {error.str()}"


class _Sending:
    """A record on its way, and what to send instead if it is too large."""

    def __init__(
        self, topic: str, partition: int | None, content: Content, smaller: Iterator[Content]
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.content = content
        self.delivery = PendingDelivery()
        self._smaller = smaller

    def shrink(self) -> bool:
        """Go on to the next smaller content, if there is one."""
        found = next(self._smaller, None)
        if found is None:
            return False
        self.content = found
        return True


def _undeliverable(topic: str, error: ClientError) -> str:
    advice = "; grant WRITE on the topic" if error.code() == ClientError.TOPIC_AUTHORIZATION_FAILED else ""
    return f"A record could not be delivered to topic {topic!r}: {error.str()}{advice}"
