"""Records as bytes, so that they can be kept elsewhere and be records again."""

from __future__ import annotations

from dataclasses import dataclass

from streams.records import Headers, Message


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
    """Return all of a record that has a value, but where it came from.

    A line of numbers comes first: type and value of the timestamp, and the lengths of what follows: the key,
    then name and content of each header; -1 where there is none. What is left is the value.
    """
    key = record.key()
    lengths, parts = [_length(key)], [key or b""]
    for name, content in record.headers() or ():
        written = name.encode(errors="surrogateescape")
        lengths += len(written), _length(content)
        parts += written, content or b""
    return b"%d %d %b\n%b%b" % (
        *record.timestamp(),
        " ".join(map(str, lengths)).encode(),
        b"".join(parts),
        record.value() or b"",
    )


def unpacked_record(content: bytes, topic: str = "", partition: int = 0, offset: int = 0) -> StoredRecord:
    """Return the record that ``packed_record`` was given."""
    numbers, _, rest = content.partition(b"\n")
    kind, time_ms, *lengths = map(int, numbers.split())
    parts: list[bytes | None] = []
    start = 0
    for length in lengths:
        parts.append(None if length < 0 else rest[start : start + length])
        start += max(0, length)
    key, *described = parts
    names = [(name or b"").decode(errors="surrogateescape") for name in described[::2]]
    headers = list(zip(names, described[1::2], strict=True))
    return StoredRecord(topic, partition, offset, key, rest[start:], headers, (kind, time_ms))


def _length(content: bytes | None) -> int:
    return -1 if content is None else len(content)
