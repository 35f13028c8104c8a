"""Format ``json``: one event a record, decoded to columns without a Python object for any number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from simdjson import Parser

from streams.codecs.columns import EventColumns, event_batch, joined
from streams.codecs.event_reader import ReadEvent
from streams.codecs.event_time import times_ms
from streams.codecs.json_fields import NO_LAYOUT, FieldReader, UnusualEventError, routing_text
from streams.codecs.json_reader import JsonReader
from streams.codecs.json_structure import ArrayStructure
from streams.codecs.rejection import BadEventError
from streams.codecs.schema_check import check_schema
from streams.codecs.validation import distribution_rows, finite_rows, to_float32
from streams.events import EventBatch, EventSchema, RejectedEvent
from streams.records import RecordBatch

_BYTES_PER_NUMBER = 8
_BLOCK_BYTES = 2**19
"""Bytes of values that are decoded at a time: a batch of 7 MB in one go takes a third longer."""
_LEAST_ROWS = 16
_UNUSUAL = (UnusualEventError, TypeError, ValueError, LookupError, RuntimeError, AttributeError)
"""What simdjson and its proxies raise when a document is not what the fast way takes it for."""


class JsonCodec:
    """Decodes JSON events; see ``EventSchema`` for what makes one valid.

    The instance may be nested exactly as the input shape or flat. ``time`` is RFC 3339 text or an integer in
    milliseconds since 1970; ``id``, ``model`` and ``segment`` are texts or integers; null stands for an
    absent field. Where no prediction is required, none is looked at.

    ``EventSchema.others`` are read where they are texts, numbers or truth values.

    An instance serves one thread at a time.

    Parameters
    ----------
    schema
        What a valid event looks like.

    Raises
    ------
    CodecError
        If a field path or the shape is wrong.

    Notes
    -----
    simdjson parses each value and copies its arrays into float64 buffers, which are joined and converted once
    a batch. Anything unusual goes to ``JsonReader``, which decides; so speed never changes a verdict.
    """

    reads_other_fields = True

    def __init__(self, schema: EventSchema) -> None:
        check_schema(schema)
        self._schema = schema
        self._instance_size = math.prod(schema.input_shape)
        self._parser = Parser()
        self._fields = FieldReader(schema)
        self._reader = JsonReader(schema)
        self._instance_structure = ArrayStructure(schema.input_shape)
        self._prediction_structure = ArrayStructure((schema.n_classes,))

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        values = records.values
        rejected: list[RejectedEvent] = []
        # What a block takes is still in the processor's cache when it is looked at again.
        size = max(_LEAST_ROWS, _BLOCK_BYTES // max(1, len(values[0] or b""))) if values else 1
        starts = range(0, len(values) or 1, size)
        blocks = [self._decode_block(start, values[start : start + size], rejected) for start in starts]
        return event_batch(records, self._schema, joined(blocks), rejected)

    def _decode_block(
        self, start: int, values: Sequence[bytes | None], rejected: list[RejectedEvent]
    ) -> EventColumns:
        """Decode values of the rows from ``start`` on; columns may hold rejected events too."""
        found = self._parse(start, values)
        rows = np.arange(start, start + len(values), dtype=np.int64)
        if found.rejected:
            rejected += found.rejected
            rows = np.delete(rows, [event.row - start for event in found.rejected])
        columns, good = self._columns(found, rows)
        kept = [values[row - start] for row in rows.tolist()] if found.rejected else values
        parsed = [value for value in kept if value]
        if not self._instance_structure.is_evident(parsed):
            good &= np.fromiter(map(self._is_well_nested, parsed), dtype=np.bool_, count=len(parsed))
        for row in rows[~good].tolist():
            judged = self._judge(row, values[row - start])
            if isinstance(judged, RejectedEvent):
                rejected.append(judged)
        return columns

    def _parse(self, start: int, values: Sequence[bytes | None]) -> _Found:
        """Take the fields out of all values that have them, with the right counts of numbers."""
        found = _Found()
        add = found.events.append
        parse: Callable[[bytes], Any] = self._parser.parse
        read, max_bytes = self._fields.read, self._schema.max_bytes
        instance_bytes = self._instance_size * _BYTES_PER_NUMBER
        prediction_bytes = self._schema.n_classes * _BYTES_PER_NUMBER
        needs_prediction = self._schema.prediction_required
        width, at_instance, at_prediction, at_id, at_time, at_model, at_segment = NO_LAYOUT
        follows_layout = True
        others: Sequence[str | None] = ()
        # The only loop that runs once an event: its length buys it calls and look-ups.
        for row, value in enumerate(values, start):
            try:
                if value is None or len(value) > max_bytes:
                    raise UnusualEventError
                event = parse(value)
                prediction = identifier = time = model = segment = None
                if len(event) == width:
                    instance = event[at_instance].as_buffer(of_type="d")
                    if at_prediction is not None:
                        prediction = event[at_prediction].as_buffer(of_type="d")
                    if at_id is not None:
                        identifier = event[at_id]
                    if at_time is not None:
                        time = event[at_time]
                    if at_model is not None:
                        model = event[at_model]
                    if at_segment is not None:
                        segment = event[at_segment]
                else:
                    (instance, prediction, identifier, time, model, segment, *others), layout = read(event)
                    if others:
                        others = [routing_text(other) for other in others]
                    instance = instance.as_buffer(of_type="d")
                    if prediction is not None:
                        prediction = prediction.as_buffer(of_type="d")
                    if layout is not None and follows_layout:
                        width, at_instance, at_prediction, at_id, at_time, at_model, at_segment = layout
                if instance.size != instance_bytes or (
                    needs_prediction and (prediction is None or prediction.size != prediction_bytes)
                ):
                    raise UnusualEventError
                if identifier is not None and identifier.__class__ is not str:
                    identifier = _text(identifier)
                if model is not None and model.__class__ is not str:
                    model = _text(model)
                if segment is not None and segment.__class__ is not str:
                    segment = _text(segment)
                if time is not None and time.__class__ is not str and time.__class__ is not int:
                    raise UnusualEventError
            except _UNUSUAL as error:
                if isinstance(error, KeyError):
                    # Events of as many keys but others: each miss is dear, so stop guessing for this batch.
                    width, follows_layout = NO_LAYOUT.width, False
                judged = self._judge(row, value)
                if isinstance(judged, RejectedEvent):
                    found.rejected.append(judged)
                    event = instance = prediction = identifier = time = model = segment = None
                    continue
                instance, prediction, identifier = judged.instance, judged.prediction, judged.id
                time, model, segment = judged.time_ms, judged.model, judged.segment
                others = judged.others
            add((instance, prediction, identifier, time, model, segment, others))
            # The parser cannot be used again while anything points into its document.
            event = None
        return found

    def _columns(
        self, found: _Found, rows: npt.NDArray[np.int64]
    ) -> tuple[EventColumns, npt.NDArray[np.bool_]]:
        """Turn what was parsed into columns, and tell which rows hold numbers and times that are valid."""
        instance, prediction, ids, given_times, models, segments, others = (
            zip(*found.events, strict=True) if found.events else ((),) * 7
        )
        instances = _as_matrix(instance, self._instance_size)
        good = finite_rows(instances)
        predictions = None
        if self._schema.prediction_required:
            predictions = _as_matrix(prediction, self._schema.n_classes)
            good &= distribution_rows(predictions)
        times, has_time, unreadable = times_ms(given_times)
        columns = EventColumns(
            rows=rows,
            instances=instances,
            predictions=predictions,
            times_ms=times,
            has_time=has_time,
            ids=list(ids),
            segments=list(segments),
            models=list(models),
            others=dict(zip(self._schema.others, zip(*others, strict=True), strict=False)),
        )
        return columns, good & ~unreadable

    def _is_well_nested(self, value: bytes) -> bool:
        """Tell whether both arrays of an event, which have the right counts, have the right nesting too."""
        try:
            (instance, prediction, *_), _ = self._fields.read(self._parser.parse(value))
        except _UNUSUAL:
            return False
        return self._instance_structure.holds(instance) and (
            prediction is None or self._prediction_structure.holds(prediction)
        )

    def _judge(self, row: int, value: bytes | None) -> ReadEvent | RejectedEvent:
        try:
            return self._reader.read(value)
        except BadEventError as bad:
            return RejectedEvent(row, bad.reason, bad.detail)


_Text: TypeAlias = "str | None"
_Event: TypeAlias = tuple[Any, Any, _Text, "str | int | None", _Text, _Text, Sequence[_Text]]


@dataclass
class _Found:
    """What the parser found, one entry for each event that is not rejected yet; buffers hold float64."""

    events: list[_Event] = field(default_factory=list)
    """Instance, prediction, id, time, model, segment, and what there is of ``EventSchema.others``."""
    rejected: list[RejectedEvent] = field(default_factory=list)


def _text(found: object) -> str:
    if type(found) is int:
        return str(found)
    raise UnusualEventError


def _as_matrix(buffers: Sequence[Any], width: int) -> npt.NDArray[np.float32]:
    """Join float64 buffers of ``width`` numbers each to one float32 matrix."""
    return to_float32(np.frombuffer(b"".join(buffers), dtype=np.float64)).reshape(len(buffers), width)
