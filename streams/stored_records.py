"""Records as bytes, so that they can be kept elsewhere and be records again.

Of each are kept: the names of its headers in JSON, and a line break; the lengths of the key and of the
contents of the headers as little-endian int32, -1 where there is none; key, contents and value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from streams.parts import packed, unpacked
from streams.plain_parts import unpacked_one
from streams.records import Headers

NO_TIMESTAMP = 0, -1
"""What confluent-kafka says where there is none."""


@dataclass(frozen=True)
class StoredRecord:
    """A record that came from Kafka once; see ``streams.records.Message``."""

    of_topic: str
    of_partition: int
    at_offset: int
    with_key: bytes | None
    with_value: bytes | None
    with_headers: Headers
    at_time: tuple[int, int] = NO_TIMESTAMP

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


def packed_records(
    keys: Sequence[bytes | None], headers: Sequence[Headers], values: Sequence[bytes]
) -> tuple[list[int], bytes]:
    """Return n records, without where they came from and when, as bytes: of each how many, and all of them.

    Parameters
    ----------
    keys, headers, values
        Of each record.
    """
    return packed([*keys], [*headers], [*values], _head)


def unpacked_record(content: bytes, topic: str = "", partition: int = 0, offset: int = 0) -> StoredRecord:
    """Return a record that ``packed_records`` was given."""
    key, headers, value = unpacked_one(content, json.loads)
    return StoredRecord(topic, partition, offset, key, value, headers)


def unpacked_columns(
    contents: Sequence[bytes], names: Sequence[str]
) -> tuple[list[list[bytes | None]], list[bytes]]:
    """Return headers of n packed records as columns, as ``header_columns`` does, and their values."""
    return unpacked([*contents], tuple(names), json.loads)


def _head(names: tuple[str, ...]) -> bytes:
    # JSON of ASCII can hold half of a surrogate pair too, as names that are not UTF-8 have.
    return json.dumps(names).encode() + b"\n"
