"""Requests and responses that are CloudEvents of their own, and the one event that two of them make."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, NamedTuple

from streams.codecs.cloudevents_codec import ATTRIBUTE_PREFIX, attributes_in
from streams.codecs.event_reader import is_whole
from streams.codecs.json_fields import FIELD_NAMES, split_path
from streams.codecs.json_reader import load_json
from streams.codecs.rejection import BadEventError, checked_value, refuse, shown
from streams.events import EventSchema, RejectedEvent, RejectReason
from streams.headers import RETURNED_FROM
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


@dataclass(frozen=True)
class HalfColumns:
    """The halves of a batch, a column each for what a ``HalfEvent`` has; length n."""

    events: list[str]
    """Empty where a record holds no half."""
    kinds: list[str | None]
    attributes: list[Mapping[str, Any]]
    data: list[Any]
    """Bytes of each half."""
    rejected: list[RejectedEvent]
    returned: list[int]
    """Rows of requests that were sent again since no response came."""

    def extend(self, others: HalfColumns) -> None:
        """Add the halves of other records behind them; what was rejected of those is left out."""
        self.events.extend(others.events)
        self.kinds.extend(others.kinds)
        self.attributes.extend(others.attributes)
        self.data.extend(others.data)


class HalfReader:
    """Reads halves.

    Parameters
    ----------
    max_bytes
        Size limit of a value in bytes.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kinds: dict[bytes, str] = {}

    def read_all(self, values: Sequence[bytes | None], headers: Sequence[Headers]) -> HalfColumns:
        """Read the halves that records hold; those that hold none are rejected."""
        attributes: list[Mapping[str, Any]] = list(map(dict, headers))
        kind_of, max_bytes = self._kinds.get, self._max_bytes
        ids = [told.get(_ID) for told in attributes]
        kinds = [kind_of(told.get(_TYPE)) for told in attributes]  # type: ignore[arg-type]
        returned = [row for row, told in enumerate(attributes) if RETURNED_FROM in told]
        halves = HalfColumns([], kinds, attributes, list(values), [], returned)
        add_event = halves.events.append
        for row, (event, kind, value) in enumerate(zip(ids, kinds, values, strict=True)):
            if event and kind and value and len(value) <= max_bytes and event.isascii():
                add_event(event.decode())
                continue
            try:
                half = self.read(value, headers[row])
            except BadEventError as bad:
                add_event("")
                halves.rejected.append(RejectedEvent(row, bad.reason, bad.detail))
            else:
                add_event(half.event)
                kinds[row], attributes[row], halves.data[row] = half[1:]
        return halves

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
        Fields that are looked for in such events; attributes that none of them begins with are left out, and
        so is the id, which is known.
    """

    def __init__(self, schema: EventSchema) -> None:
        named = [getattr(schema.fields, name) for name in FIELD_NAMES if name != "id"]
        own_id = [] if schema.fields.id == "id" else [schema.fields.id]
        paths = [*named, *own_id, *schema.others]
        names = {split_path(path)[0] for path in paths} - {*KINDS}
        self._attributes = [
            (ATTRIBUTE_PREFIX + name, f"{json.dumps(name)}:".encode()) for name in sorted(names)
        ]

    def write_all(
        self, told: Sequence[Mapping[str, Any]], requests: Sequence[bytes], responses: Sequence[bytes] | None
    ) -> list[bytes | None]:
        """Write the events of requests, their attributes being ``told``, and of their responses, if any."""
        beginnings: Sequence[bytes] = [b"{"] * len(told)
        for name, label in self._attributes:
            texts = _members(label, [attributes.get(name) for attributes in told])
            beginnings = list(map(add, beginnings, texts))
        if responses is None:
            return [b'%b"request":%b}' % part for part in zip(beginnings, requests, strict=True)]
        parts = zip(beginnings, requests, responses, strict=True)
        return [b'%b"request":%b,"response":%b}' % part for part in parts]


def _members(label: bytes, attributes: Sequence[Any]) -> list[bytes]:
    """Write an attribute of each event as a member of an object; nothing where there is none."""
    given = set(map(type, attributes))
    if given == {type(None)}:
        return [b""] * len(attributes)
    if given == {bytes} and _PLAIN(b"".join(attributes)):
        return [b'%b"%b",' % (label, attribute) for attribute in attributes]
    return [b"" if found is None else b"%b%b," % (label, _json(found)) for found in attributes]


def _json(attribute: Any) -> bytes:
    if isinstance(attribute, bytes):
        attribute = attribute.decode(errors="backslashreplace")
    return json.dumps(attribute).encode()
