"""What Faust hands over, as the codecs read it: raw, whatever the app's own agents make of the same topic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from faust.topics import Topic
from faust.types import EventT
from faust.types import Message as FaustMessage

from streams.records import Headers, RecordBatch


class RawTopic(Topic):  # type: ignore[misc]
    """Topics of which neither keys nor values are decoded."""

    def _compile_decode(self) -> None:
        self.decode = self._as_it_came

    async def _as_it_came(self, message: FaustMessage, *, propagate: bool = False) -> EventT[Any]:
        return self._create_event(message.key, message.value, message.headers, message=message)

    async def on_key_decode_error(self, exc: Exception, message: FaustMessage) -> None:
        """Leave it to the agent whose topic cannot decode the message; here it is read from Kafka itself."""

    async def on_value_decode_error(self, exc: Exception, message: FaustMessage) -> None:
        """Leave it to the agent whose topic cannot decode the message; here it is read from Kafka itself."""


class FaustRecord:
    """A message of Faust in the terms of ``streams.records.Message``."""

    __slots__ = ("_message",)

    def __init__(self, message: FaustMessage) -> None:
        self._message = message

    def topic(self) -> str:
        """Name of the topic."""
        return str(self._message.topic)

    def partition(self) -> int:
        """Number of the partition."""
        return int(self._message.partition)

    def offset(self) -> int:
        """Offset in the partition."""
        return int(self._message.offset)

    def key(self) -> bytes | None:
        """Key as sent."""
        key: bytes | None = self._message.key
        return key

    def value(self) -> bytes | None:
        """Value as sent; None for a tombstone."""
        value: bytes | None = self._message.value
        return value

    def headers(self) -> Headers | None:
        """Headers in the order sent."""
        found = self._message.headers
        return list(found.items() if isinstance(found, dict) else found) if found else None

    def timestamp(self) -> tuple[int, int]:
        """Type and value of the timestamp, in milliseconds since 1970."""
        seconds = self._message.timestamp
        # Faust has divided the integer by 1000.
        return (0, -1) if seconds is None else (self._message.timestamp_type + 1, round(seconds * 1000))


def record_batches(events: Iterable[EventT[Any]]) -> list[RecordBatch]:
    """Sort events by topic, in the order they came."""
    by_topic: dict[str, list[FaustRecord]] = {}
    for event in events:
        by_topic.setdefault(event.message.topic, []).append(FaustRecord(event.message))
    return [RecordBatch(topic, records) for topic, records in by_topic.items()]
