"""Where rejected events go, whoever rejects them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streams.events import RejectedEvent
from streams.records import RecordBatch


class Delivery(Protocol):
    """A dead letter on its way."""

    @property
    def delivered(self) -> bool:
        """Whether it has arrived."""
        ...


class DeadLetterSink(Protocol):
    """Sends dead letters."""

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]) -> Sequence[Delivery]:
        """Send rejected records to a dead-letter topic, and tell of each whether it has arrived."""
        ...
