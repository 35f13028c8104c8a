"""JSON events parsed by simdjson one by one, into columns without a Python object for any number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from simdjson import Parser

from streams.codecs.columns import EventColumns, joined
from streams.codecs.event_fields import routing_text
from streams.codecs.event_reader import ReadEvent
from streams.codecs.event_time import times_ms
from streams.codecs.json.fields import NO_LAYOUT, FieldReader, UnusualEventError, text_of_integer
from streams.codecs.json.structure import ArrayStructure
from streams.codecs.validation import to_float32
from streams.events import EventSchema, RejectedEvent

_BYTES_PER_NUMBER = 8
_BLOCK_BYTES = 2**19
"""Bytes of values that are parsed at a time: a batch of 7 MB in one go takes a third longer."""
_LEAST_ROWS = 16
_UNUSUAL = (UnusualEventError, TypeError, ValueError, LookupError, RuntimeError, AttributeError)
"""What simdjson and its proxies raise when a document is not what the fast way takes it for."""

Judge: TypeAlias = Callable[[int, "bytes | None"], "ReadEvent | RejectedEvent"]


class EventParser:
    """Reads the columns of events of any kind.

    simdjson parses each value and copies its arrays into float64 buffers, which are joined and converted
    together. Anything unusual is left to ``judge``.

    Parameters
    ----------
    schema
        What a valid event looks like.
    judge
        Reads one event, given its row and its value.

    Raises
    ------
    CodecError
        If a field path is wrong.
    """

    def __init__(self, schema: EventSchema, judge: Judge) -> None:
        self._schema = schema
        self._judge = judge
        self._instance_size = math.prod(schema.input_shape)
        self._parser = Parser()
        self._fields = FieldReader(schema)
        self._instance_structure = ArrayStructure(schema.input_shape)
        self._prediction_structure = ArrayStructure((schema.n_classes,))

    def read(
        self, rows: Sequence[int], values: Sequence[bytes | None]
    ) -> tuple[EventColumns, npt.NDArray[np.bool_], list[RejectedEvent]]:
        """Read events.

        Parameters
        ----------
        rows
            Row of each, length n.
        values
            Their values, length n.

        Returns
        -------
        columns
            All that are not rejected.
        good
            Which of these are known to be valid.
        rejected
            Those that are known not to be.
        """
        rejected: list[RejectedEvent] = []
        # What a block takes is still in the processor's cache when it is looked at again.
        size = max(_LEAST_ROWS, _BLOCK_BYTES // max(1, len(values[0] or b""))) if values else 1
        blocks = [
            self._read_block(rows[start : start + size], values[start : start + size], rejected)
            for start in range(0, len(values) or 1, size)
        ]
        columns, good = zip(*blocks, strict=True)
        return joined(columns), np.concatenate(good), rejected

    def _read_block(
        self, rows: Sequence[int], values: Sequence[bytes | None], rejected: list[RejectedEvent]
    ) -> tuple[EventColumns, npt.NDArray[np.bool_]]:
        found = self._parse(rows, values)
        kept = values
        if found.rejected:
            rejected += found.rejected
            refused = {event.row for event in found.rejected}
            kept = [value for row, value in zip(rows, values, strict=True) if row not in refused]
            rows = [row for row in rows if row not in refused]
        columns, good = self._columns(found, np.array(rows, dtype=np.int64))
        parsed = [value for value in kept if value]
        if not self._instance_structure.is_evident(parsed):
            good &= np.fromiter(map(self._is_well_nested, parsed), dtype=np.bool_, count=len(parsed))
        return columns, good

    def _parse(self, rows: Sequence[int], values: Sequence[bytes | None]) -> _Found:
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
        for row, value in zip(rows, values, strict=True):
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
                    identifier = text_of_integer(identifier)
                if model is not None and model.__class__ is not str:
                    model = text_of_integer(model)
                if segment is not None and segment.__class__ is not str:
                    segment = text_of_integer(segment)
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
        predictions = None
        if self._schema.prediction_required:
            predictions = _as_matrix(prediction, self._schema.n_classes)
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
        return columns, columns.valid_numbers() & ~unreadable

    def _is_well_nested(self, value: bytes) -> bool:
        """Tell whether both arrays of an event, which have the right counts, have the right nesting too."""
        try:
            (instance, prediction, *_), _ = self._fields.read(self._parser.parse(value))
        except _UNUSUAL:
            return False
        return self._instance_structure.holds(instance) and (
            prediction is None or self._prediction_structure.holds(prediction)
        )


_Text: TypeAlias = "str | None"
_Event: TypeAlias = tuple[Any, Any, _Text, "str | int | None", _Text, _Text, Sequence[_Text]]


@dataclass
class _Found:
    """What the parser found, one entry for each event that is not rejected yet; buffers hold float64."""

    events: list[_Event] = field(default_factory=list)
    """Instance, prediction, id, time, model, segment, and what there is of ``EventSchema.others``."""
    rejected: list[RejectedEvent] = field(default_factory=list)


def _as_matrix(buffers: Sequence[Any], width: int) -> npt.NDArray[np.float32]:
    """Join float64 buffers of ``width`` numbers each to one float32 matrix."""
    return to_float32(np.frombuffer(b"".join(buffers), dtype=np.float64)).reshape(len(buffers), width)
