"""Records as bytes, so that they can be kept elsewhere and be records again."""

from __future__ import annotations

import json
from dataclasses import dataclass

from streams.records import Headers, Message

_ANY_BYTES = "latin-1"
"""An encoding in which every byte is a character."""


@dataclass(frozen=True)
class StoredRecord:
    """A record that came from Kafka once; see ``streams.records.Message``."""

    of_topic: str
    of_partition: int
    at_offset: int
    with_key: bytes | None
    with_value: bytes | None
    with_headers: Headers
    at_time: tuple[int, int]

    def topic(self) -> str:
        """Name of the topic."""
        return self.of_topic

    def partition(self) -> int:
        """Number of the partition."""
        return self.of_partition

    def offset(self) -> int:
        """Offset in the partition."""
        return self.at_offset

    def key(self) -> bytes | None:
        """Key as sent."""
        return self.with_key

    def value(self) -> bytes | None:
        """Value as sent."""
        return self.with_value

    def headers(self) -> Headers:
        """Headers in the order sent."""
        return self.with_headers

    def timestamp(self) -> tuple[int, int]:
        """Type and value of the timestamp, in milliseconds since 1970."""
        return self.at_time


def packed_record(record: Message) -> bytes:
    """Return all of a record that has a value, but where it came from."""
    headers = [(name, _text(value)) for name, value in record.headers() or []]
    about = json.dumps([_text(record.key()), record.timestamp(), headers])
    return about.encode() + b"\n" + (record.value() or b"")


def unpacked_record(content: bytes, topic: str = "", partition: int = 0, offset: int = 0) -> StoredRecord:
    """Return the record that ``packed_record`` was given."""
    about, _, value = content.partition(b"\n")
    key, (kind, time_ms), headers = json.loads(about)
    pairs = [(name, _bytes(text)) for name, text in headers]
    return StoredRecord(topic, partition, offset, _bytes(key), value, pairs, (kind, time_ms))


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(_ANY_BYTES)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode(_ANY_BYTES)
