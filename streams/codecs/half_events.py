"""Requests and responses that are CloudEvents of their own, and the one event that two of them make."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from streams.codecs.cloudevents_codec import ATTRIBUTE_PREFIX, attributes_in
from streams.codecs.event_reader import is_whole
from streams.codecs.json_fields import FIELD_NAMES, split_path
from streams.codecs.json_reader import load_json
from streams.codecs.rejection import BadEventError, checked_value, refuse, shown
from streams.events import EventSchema, RejectReason
from streams.records import Headers
from streams.state.pair_store import KINDS

_TYPE, _ID = f"{ATTRIBUTE_PREFIX}type", f"{ATTRIBUTE_PREFIX}id"
_MOST_TYPES = 256
"""How many types are remembered; a producer of random ones must not fill the memory."""

_PLAIN = re.compile(rb"[ !#-\[\]-~]*").fullmatch
"""Tells whether JSON holds a text as it is: printable ASCII without quotes and backslashes."""


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


class HalfReader:
    """Reads one half at a time.

    Parameters
    ----------
    max_bytes
        Size limit of a value in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kinds: dict[bytes, str] = {}

    def read(self, value: bytes | None, headers: Headers) -> HalfEvent:
        """Read the half that a record holds.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if it holds none.
        """
        attributes: Mapping[str, Any] = dict(headers)
        event, kind = attributes.get(_ID), self._kinds.get(attributes.get(_TYPE))  # type: ignore[arg-type]
        if event and kind and value and len(value) <= self._max_bytes and event.isascii():
            return HalfEvent(event.decode(), kind, attributes, value)
        return self._read_exactly(value, headers)

    def _read_exactly(self, value: bytes | None, headers: Headers) -> HalfEvent:
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
        if known is not None and len(self._kinds) < _MOST_TYPES:
            self._kinds[known] = kind
        return HalfEvent(
            event, kind, {ATTRIBUTE_PREFIX + name: found for name, found in attributes.items()}, data
        )


class EventWriter:
    """Puts two halves into one JSON event: ``request``, ``response``, and attributes of the request.

    Parameters
    ----------
    schema
        Fields that are looked for in such events; attributes that none of them begins with are left out.
    """

    def __init__(self, schema: EventSchema) -> None:
        paths = [*(getattr(schema.fields, name) for name in FIELD_NAMES), *schema.others]
        names = {split_path(path)[0] for path in paths} - {*KINDS}
        self._attributes = [
            (ATTRIBUTE_PREFIX + name, f"{json.dumps(name)}:".encode()) for name in sorted(names)
        ]

    def write(self, request: HalfEvent, response: HalfEvent) -> bytes:
        """Write the event."""
        told = b""
        for name, label in self._attributes:
            found = request.attributes.get(name)
            if found is not None:
                told += label + _json(found) + b","
        return b"".join((b"{", told, b'"request":', request.data, b',"response":', response.data, b"}"))


def _json(attribute: Any) -> bytes:
    if isinstance(attribute, bytes):
        if _PLAIN(attribute):
            return b'"' + attribute + b'"'
        attribute = attribute.decode(errors="backslashreplace")
    return json.dumps(attribute).encode()
