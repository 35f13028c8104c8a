"""Requests and responses that are CloudEvents of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

from streams.codecs.cloudevents_codec import ATTRIBUTE_PREFIX, attributes_in
from streams.codecs.event_reader import is_whole
from streams.codecs.json.reader import load_json
from streams.codecs.rejection import BadEventError, checked_value, refuse, shown
from streams.events import RejectedEvent, RejectReason
from streams.headers import RETURNED_FROM
from streams.parts import header_columns
from streams.records import Headers
from streams.state.pair_store import KINDS
from streams.stored_records import StoredRecord, unpacked_columns, unpacked_record

_TYPE, _ID = f"{ATTRIBUTE_PREFIX}type", f"{ATTRIBUTE_PREFIX}id"
_MOST_TYPES = _LONGEST_TYPE = 256
"""How many types are remembered, and of what length; a producer of odd ones must not fill the memory."""

_T = TypeVar("_T")


class HalfEvent(NamedTuple):
    """One half of an event."""

    event: str
    """Id that both halves have."""
    kind: str
    """One of ``KINDS``: how its type ends, such as ``org.kubeflow.serving.inference.request``."""
    attributes: Mapping[str, Any]
    """Its attributes, as headers are named; bytes in binary mode."""
    data: bytes
    """JSON of the request or response."""


@dataclass(frozen=True)
class HalfColumns:
    """The halves of a batch, a column each; length n."""

    events: list[str]
    """Empty where a record holds no half."""
    kinds: list[str]
    """Empty likewise."""
    attributes: list[list[Any]]
    """A column of each attribute that is asked for."""
    data: list[Any]
    """Bytes of each half."""
    rejected: list[RejectedEvent]
    returned: list[int]
    """Rows of requests that were sent again since no response came."""


def at_rows(column: Sequence[_T], rows: Sequence[int]) -> list[_T]:
    """Return what a column holds in some rows."""
    return list(map(column.__getitem__, rows))


class HalfReader:
    """Reads halves.

    Parameters
    ----------
    max_bytes
        Size limit of a value in bytes.
    attributes
        Attributes that are asked for, as headers are named.
    """

    def __init__(self, max_bytes: int, attributes: Sequence[str]) -> None:
        self._max_bytes = max_bytes
        self._attributes = attributes
        self._kinds: dict[Any, str] = {}

    def read_all(self, values: Sequence[bytes | None], headers: Sequence[Headers]) -> HalfColumns:
        """Read the halves that records hold; those that hold none are rejected."""
        ids, types, marks, *attributes = header_columns(
            [*headers], (_ID, _TYPE, RETURNED_FROM, *self._attributes)
        )
        returned = [row for row, mark in enumerate(marks) if mark is not None]
        events = _plain_texts(ids) or [_plain_text(found) for found in ids]
        kinds = [*map(self._kinds.get, types, repeat(""))]
        halves = HalfColumns(events, kinds, attributes, [*values], [], returned)
        if not (all(events) and all(kinds) and self._have_size(values)):
            for row, read in enumerate(zip(events, kinds, strict=True)):
                if not (all(read) and self._have_size(values[row : row + 1])):
                    self._read_into(halves, row, values[row], headers[row])
        return halves

    def read_stored(self, contents: Sequence[bytes]) -> tuple[list[list[Any]], list[bytes]]:
        """Read halves as they were stored: the attributes that are asked for, a column each, and the data."""
        (ids, *attributes), data = unpacked_columns(contents, (_ID, *self._attributes))
        if None not in ids:
            return attributes, data
        records = [unpacked_record(content) for content in contents]
        halves = [self._read_again(record) for record in records]
        columns = [[half.attributes.get(name) for half in halves] for name in self._attributes]
        return columns, [half.data for half in halves]

    def _read_again(self, record: StoredRecord) -> HalfEvent:
        try:
            return self.read(record.value(), record.headers())
        except BadEventError:
            # It was good when it was stored, under a larger limit; the event that it is a part of is judged.
            return HalfEvent("", "", {}, record.value() or b"")

    def _have_size(self, values: Sequence[bytes | None]) -> bool:
        try:
            sizes = [*map(len, values)]  # type: ignore[arg-type]
        except TypeError:
            return False
        return not sizes or (min(sizes) > 0 and max(sizes) <= self._max_bytes)

    def _read_into(self, halves: HalfColumns, row: int, value: bytes | None, headers: Headers) -> None:
        """Read one half exactly."""
        try:
            half = self.read(value, headers)
        except BadEventError as bad:
            halves.events[row] = halves.kinds[row] = ""
            halves.rejected.append(RejectedEvent(row, bad.reason, bad.detail))
        else:
            halves.events[row], halves.kinds[row], halves.data[row] = half.event, half.kind, half.data
            for name, column in zip(self._attributes, halves.attributes, strict=True):
                column[row] = half.attributes.get(name)

    def read(self, value: bytes | None, headers: Headers) -> HalfEvent:
        """Read the half that a record holds.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if it holds none.
        """
        data = checked_value(value, self._max_bytes)
        attributes: dict[str, Any] = dict(attributes_in(headers))
        if not attributes:
            attributes, _ = load_json(data)
            # NaN is written as it was read, so that the event is refused for it when it is complete.
            data = json.dumps(attributes.pop("data", None), separators=(",", ":")).encode()
        kind, event = str(attributes.get("type", "")).rpartition(".")[2], attributes.get("id")
        if kind not in KINDS:
            refuse(
                RejectReason.MISSING_FIELD,
                f"The attribute 'type' is {shown(attributes.get('type'))}, expected one that ends in"
                " '.request' or '.response'.",
            )
        if not isinstance(event, str) or not event:
            refuse(RejectReason.MISSING_FIELD, f"The attribute 'id' is {shown(event)}, expected a text.")
        if not is_whole(event):
            detail = "The attribute 'id' has half of a surrogate pair, expected whole characters."
            raise BadEventError(RejectReason.UNDECODABLE, detail)
        known = dict(headers).get(_TYPE)
        if known is not None and len(known) <= _LONGEST_TYPE and len(self._kinds) < _MOST_TYPES:
            self._kinds[known] = kind
        return HalfEvent(
            event, kind, {ATTRIBUTE_PREFIX + name: found for name, found in attributes.items()}, data
        )


def _plain_texts(given: Sequence[bytes | None]) -> list[str] | None:
    """Decode texts, if all are ASCII and none is empty or holds a line break."""
    try:
        joined = b"\n".join(given)  # type: ignore[arg-type]
    except TypeError:
        return None
    texts = joined.decode().split("\n") if joined.isascii() else []
    return texts if len(texts) == len(given) and all(texts) else None


def _plain_text(given: bytes | None) -> str:
    """Decode a text if it is ASCII; empty otherwise."""
    return given.decode() if given and given.isascii() else ""
