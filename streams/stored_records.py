"""Records as bytes, so that they can be kept elsewhere and be records again.

Of each are kept: the names of its headers in JSON, and a line break; the lengths of the key and of the
contents of the headers as little-endian int32, -1 where there is none; key, contents and value.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from streams.records import Headers

_LENGTH = np.dtype("<i4")
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


class AlikeHeaders(NamedTuple):
    """Headers of records that name theirs alike."""

    names: tuple[str, ...]
    lengths: Sequence[int]
    """Bytes of each header, those of the first record first."""
    contents: Sequence[bytes]
    """What the headers of each record hold, one after another."""

    def take(self, rows: Sequence[int]) -> AlikeHeaders:
        """Return the headers of some of the records."""
        if [*rows] == [*range(len(self.contents))]:
            return self
        lengths = np.array(self.lengths, dtype=_LENGTH).reshape(len(self.contents), -1)[rows].ravel().tolist()
        return AlikeHeaders(self.names, lengths, [self.contents[row] for row in rows])


def packed_records(
    keys: Sequence[bytes | None], headers: Sequence[Headers] | AlikeHeaders, values: Sequence[bytes]
) -> tuple[list[int], bytes]:
    """Return n records, without where they came from and when, as bytes: of each how many, and all of them.

    Parameters
    ----------
    keys, headers, values
        Of each record.
    """
    if not keys:
        return [], b""
    if not isinstance(headers, AlikeHeaders):
        packed = [b"".join(_parts(*record)) for record in zip(keys, headers, values, strict=True)]
        return [*map(len, packed)], b"".join(packed)
    lengths = np.empty((len(keys), 1 + len(headers.names)), dtype=_LENGTH)
    lengths[:, 0] = [-1 if key is None else len(key) for key in keys]
    lengths[:, 1:] = np.array(headers.lengths, dtype=_LENGTH).reshape(len(keys), -1)
    head, rows, width = _head(headers.names), lengths.tobytes(), _LENGTH.itemsize * lengths.shape[1]
    described = [rows[start : start + width] for start in range(0, len(rows), width)]
    parts = zip(repeat(head), described, [key or b"" for key in keys], headers.contents, values)
    sizes = np.maximum(lengths, 0).sum(axis=1) + np.fromiter(map(len, values), np.int64) + len(head) + width
    return sizes.tolist(), b"".join(chain.from_iterable(parts))


def unpacked_record(content: bytes, topic: str = "", partition: int = 0, offset: int = 0) -> StoredRecord:
    """Return a record that ``packed_records`` was given."""
    head, _, _ = content.partition(b"\n")
    names = json.loads(head)
    start = len(head) + 1 + _LENGTH.itemsize * (1 + len(names))
    parts: list[bytes | None] = []
    for length in np.frombuffer(content[len(head) + 1 : start], _LENGTH).tolist():
        parts.append(None if length < 0 else content[start : start + length])
        start += max(0, length)
    headers = list(zip(names, parts[1:], strict=True))
    return StoredRecord(topic, partition, offset, parts[0], content[start:], headers)


def unpacked_columns(
    contents: Sequence[bytes], names: Sequence[str]
) -> tuple[list[list[bytes | None]], list[bytes]] | None:
    """Return some headers, a column for each of ``names``, and the values of records that have headers alike.

    None if they have not; ``unpacked_record`` reads each one.
    """
    head = contents[0][: contents[0].index(b"\n") + 1]
    there: list[str] = json.loads(head)
    if len(set(there)) < len(there) or not all(content.startswith(head) for content in contents):
        return None
    start = len(head)
    width = _LENGTH.itemsize * (1 + len(there))
    described = b"".join([content[start : start + width] for content in contents])
    lengths = np.frombuffer(described, _LENGTH).reshape(len(contents), -1)
    if lengths[:, 1:].min(initial=0) < 0:
        return None
    ends = start + width + np.cumsum(np.maximum(lengths, 0), axis=1)
    columns: list[list[bytes | None]] = []
    for name in names:
        if name not in there:
            columns.append([None] * len(contents))
            continue
        at = there.index(name)
        bounds = zip(contents, ends[:, at].tolist(), ends[:, at + 1].tolist(), strict=True)
        columns.append([content[begin:end] for content, begin, end in bounds])
    values = [content[end:] for content, end in zip(contents, ends[:, -1].tolist(), strict=True)]
    return columns, values


@lru_cache(256)
def _head(names: tuple[str, ...]) -> bytes:
    # JSON of ASCII can hold half of a surrogate pair too, as names that are not UTF-8 have.
    return json.dumps(names).encode() + b"\n"


def _parts(key: bytes | None, headers: Headers, value: bytes) -> list[bytes]:
    kept = [key, *(content for _, content in headers)]
    lengths = struct.pack(f"<{len(kept)}i", *[-1 if part is None else len(part) for part in kept])
    return [
        _head(tuple(name for name, _ in headers)),
        lengths,
        *(part or b"" for part in kept),
        value,
    ]
