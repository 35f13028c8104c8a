"""Records without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.records import Headers, RecordBatch

TIMESTAMP_MS = 1_763_640_000_123


@dataclass
class InMemoryRecord:
    """A record with the methods of confluent-kafka's."""

    value_bytes: bytes | None
    key_bytes: bytes | None = None
    header_list: Headers | None = None
    offset_number: int = 0

    def topic(self) -> str:
        return "events"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return self.offset_number

    def key(self) -> bytes | None:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.value_bytes

    def headers(self) -> Headers | None:
        return self.header_list

    def timestamp(self) -> tuple[int, int]:
        return 1, TIMESTAMP_MS


def batch_of(
    values: Sequence[bytes | None], headers: Sequence[Headers | None] | None = None, first_offset: int = 100
) -> RecordBatch:
    """Make a batch of records with these values, at offsets from ``first_offset`` on."""
    return RecordBatch(
        "events",
        [
            InMemoryRecord(value, b"key", None if headers is None else headers[row], first_offset + row)
            for row, value in enumerate(values)
        ],
    )
