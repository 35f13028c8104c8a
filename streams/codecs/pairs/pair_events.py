"""The JSON event that a request and a response make, and what is decoded from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from operator import itemgetter
from typing import Any

import numpy as np

from streams.codecs.cloudevents_codec import ATTRIBUTE_PREFIX
from streams.codecs.event_fields import FIELD_NAMES, split_path
from streams.codecs.pairs.half_events import HalfColumns, at_rows
from streams.codecs.protocol import Codec, open_codec
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch
from streams.state.pair_store import KINDS, REQUEST

_PLAIN = re.compile(rb"[ !#-\[\]-~]*").fullmatch
"""Tells whether JSON holds a text as it is: printable ASCII without quotes and backslashes."""

_FIRST, _SECOND = itemgetter(0), itemgetter(1)


class PairEvents:
    """Puts halves together and decodes the events that they make.

    Parameters
    ----------
    schema
        What a valid event looks like.
    data
        Format of the events.
    options
        Options of that format.

    Attributes
    ----------
    attributes
        Attributes of requests that are looked at, as headers are named.

    Raises
    ------
    CodecError
        If the format refuses the schema or an option.
    """

    def __init__(self, schema: EventSchema, data: str, options: Mapping[str, Any]) -> None:
        self._codec = open_codec(data, schema, options)
        self._of_requests = open_codec(data, replace(schema, prediction_required=False), options)
        self._writer = _EventWriter(schema)
        self.attributes = self._writer.attributes

    def of_pairs(
        self, records: RecordBatch, halves: HalfColumns, pairs: Sequence[tuple[int, int]]
    ) -> EventBatch:
        """Decode events: of each, the rows of the other half and of the one that completes it."""
        complete, others = list(map(_SECOND, pairs)), list(map(_FIRST, pairs))
        data, second_kinds = halves.data, at_rows(halves.kinds, complete)
        requests, responses = others, complete
        if second_kinds.count(REQUEST) == len(pairs):
            requests, responses = complete, others
        elif REQUEST in second_kinds:
            ordered = [
                pair[::-1] if kind == REQUEST else pair
                for pair, kind in zip(pairs, second_kinds, strict=True)
            ]
            requests, responses = [first for first, _ in ordered], [second for _, second in ordered]
        values = self._writer.write_all(
            [at_rows(column, requests) for column in halves.attributes],
            at_rows(data, requests),
            at_rows(data, responses),
        )
        return _decoded(records, halves, complete, values, self._codec)

    def of_requests(self, records: RecordBatch, halves: HalfColumns, requests: Sequence[int]) -> EventBatch:
        """Decode events that have no response and need no prediction."""
        told = [at_rows(column, requests) for column in halves.attributes]
        values = self._writer.write_all(told, at_rows(halves.data, requests), None)
        return _decoded(records, halves, requests, values, self._of_requests)


def _decoded(
    records: RecordBatch,
    halves: HalfColumns,
    complete: Sequence[int],
    values: list[bytes | None],
    codec: Codec,
) -> EventBatch:
    rows = np.array(complete, dtype=np.int64)
    # The headers are those of the envelope.
    events = codec.decode(records.take(rows).with_values(values, [[]] * len(complete)))
    rows = rows[events.rows]
    return replace(
        events,
        records=records,
        rows=rows,
        ids=at_rows(halves.events, rows.tolist()),
        rejected=[replace(event, row=complete[event.row]) for event in events.rejected],
    )


class _EventWriter:
    """Puts two halves into one JSON event: ``request``, ``response``, and attributes of the request.

    Parameters
    ----------
    schema
        Fields that are looked for in such events; attributes that none of them begins with are left out, and
        so is the id, which is known.

    Attributes
    ----------
    attributes
        Attributes that are written, as headers are named.
    """

    def __init__(self, schema: EventSchema) -> None:
        named = [getattr(schema.fields, name) for name in FIELD_NAMES if name != "id"]
        own_id = [] if schema.fields.id == "id" else [schema.fields.id]
        paths = [*named, *own_id, *schema.others]
        names = {split_path(path)[0] for path in paths} - {*KINDS}
        self.attributes = [ATTRIBUTE_PREFIX + name for name in sorted(names)]
        self._labels = [f"{json.dumps(name)}:".encode() for name in sorted(names)]

    def write_all(
        self, told: Sequence[Sequence[Any]], requests: Sequence[bytes], responses: Sequence[bytes] | None
    ) -> list[bytes | None]:
        """Write the events of requests, whose attributes are ``told``, a column each, and of their responses.

        ``responses`` are None where there are none.
        """
        # One join an event; columns that say the same of all are endless.
        columns: list[Iterable[bytes]] = [repeat(b"{")]
        for label, attributes in zip(self._labels, told, strict=True):
            columns += _member(label, attributes)
        columns += [repeat(b'"request":'), requests]
        if responses is not None:
            columns += [repeat(b',"response":'), responses]
        return list(map(b"".join, zip(*columns, repeat(b"}"), strict=False)))


def _member(label: bytes, attributes: Sequence[Any]) -> list[Iterable[bytes]]:
    """Write an attribute of each event as a member of an object, in columns; nothing where there is none."""
    given = set(map(type, attributes))
    if given == {type(None)}:
        return []
    if given == {bytes} and _PLAIN(b"".join(attributes)):
        return [repeat(label + b'"'), attributes, repeat(b'",')]
    return [[b"" if found is None else b"%b%b," % (label, _json(found)) for found in attributes]]


def _json(attribute: Any) -> bytes:
    if isinstance(attribute, bytes):
        attribute = attribute.decode(errors="backslashreplace")
    return json.dumps(attribute).encode()
