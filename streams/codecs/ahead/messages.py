"""What the worker and its decoding process tell each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.codecs.protocol import Codec, open_codec
from streams.events import EventBatch, EventSchema
from streams.records import Headers, RecordBatch
from streams.stored_records import StoredRecord

_NO_VALUE = -1
_NO_TIME = np.iinfo(np.int64).min
"""Stands in for the Kafka timestamps, which are not sent along."""
_UNKNOWN = StoredRecord("", 0, 0, None, None, [], (0, _NO_TIME))
"""Stands in for the records themselves."""


@dataclass(frozen=True)
class CodecOpening:
    """How a codec is opened."""

    format_name: str
    schema: EventSchema
    options: Mapping[str, Any]

    def open(self, services: Mapping[str, Any] | None = None) -> Codec:
        """Open it; see ``open_codec``."""
        return open_codec(self.format_name, self.schema, self.options, services)


@dataclass(frozen=True)
class Request:
    """Records to decode, without all that codecs do not look at.

    Attributes
    ----------
    opening
        The codec.
    lengths
        Bytes of each value, shape (n,), int64; -1 for a tombstone.
    joined
        All values one after another.
    headers
        Those of each record, length n; None where the codec does not look at any.
    """

    opening: CodecOpening
    lengths: npt.NDArray[np.int64]
    joined: bytes
    headers: list[Headers] | None

    @classmethod
    def of(cls, opening: CodecOpening, records: RecordBatch, *, with_headers: bool) -> Request:
        """Make the request to decode these records."""
        values = records.values
        present = [value for value in values if value is not None]
        lengths = np.full(len(values), _NO_VALUE, dtype=np.int64)
        if len(present) == len(values):
            lengths[:] = list(map(len, present))
        else:
            rows = [row for row, value in enumerate(values) if value is not None]
            lengths[rows] = list(map(len, present))
        return cls(opening, lengths, b"".join(present), records.headers if with_headers else None)

    def send(self, connection: Connection) -> None:
        """Send it, the values without a copy of them all."""
        connection.send(replace(self, joined=b""))
        connection.send_bytes(self.joined)

    @classmethod
    def receive(cls, connection: Connection) -> Request:
        """Receive what was sent."""
        request: Request = connection.recv()
        return replace(request, joined=connection.recv_bytes())

    def records(self) -> RecordBatch:
        """Return the records, as far as they are known here."""
        ends = np.cumsum(np.maximum(self.lengths, 0))
        starts = ends - np.maximum(self.lengths, 0)
        joined = self.joined
        values: list[bytes | None] = [
            joined[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
        for row in np.flatnonzero(self.lengths == _NO_VALUE).tolist():
            values[row] = None
        return RecordBatch("", [_UNKNOWN] * len(values)).with_values(values, self.headers)


def without_records(events: EventBatch) -> EventBatch:
    """Return what a batch holds beside its records, which the worker has."""
    return replace(events, records=RecordBatch("", ()))


def with_records(events: EventBatch, records: RecordBatch) -> EventBatch:
    """Put the records back that a batch was decoded from, and their timestamps where events have no time."""
    times_ms = events.times_ms
    untimed = times_ms == _NO_TIME
    if untimed.any():
        times_ms = np.where(untimed, records.timestamps_ms[events.rows], times_ms)
    return replace(events, records=records, times_ms=times_ms)
