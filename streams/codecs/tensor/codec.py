"""Format ``tensor``: raw little-endian numbers in the value, everything else in headers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from streams import headers as names
from streams.codecs.columns import EventColumns, event_batch
from streams.codecs.event_time import EXPECTED_TIME, times_ms
from streams.codecs.rejection import BadEventError, checked_value, shown
from streams.codecs.schema_check import check_schema
from streams.codecs.tensor.format import TensorFormat
from streams.codecs.tensor.headers import HeaderColumns, HeaderReader
from streams.codecs.validation import (
    distribution_rows,
    explain_not_distribution,
    explain_not_finite,
    finite_rows,
    to_float32,
)
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.records import RecordBatch

_TOMBSTONE = -1

Chosen = TypeVar("Chosen")


class TensorCodec:
    """Decodes tensor events: the instance's numbers in C order, then the prediction's, without gaps.

    ``streams.headers`` names the headers. Without any, a value holds float32 numbers for both. Integers, such
    as the uint8 of images, become float32 of the same value. Of a repeated header the last one counts. Where
    no prediction is required, it may be left out and is not looked at. Field paths do not matter here.

    Parameters
    ----------
    schema
        What a valid event looks like.

    Raises
    ------
    CodecError
        If the shape is wrong.
    """

    def __init__(self, schema: EventSchema) -> None:
        check_schema(schema)
        self._schema = schema
        self._headers = HeaderReader(schema)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        values = records.values
        described = self._headers.read(records.headers)
        rejected = described.rejected
        parts: list[_Numbers] = []
        for event_format, length, rows in _groups(values, described.formats):
            if event_format.fits(length) and length <= self._schema.max_bytes:
                parts.append(_numbers(event_format, [value for row in rows if (value := values[row])], rows))
            else:
                rejected += [self._unfit(row, values[row], event_format) for row in rows]
        numbers = self._join(parts)
        rows = numbers.rows.tolist()
        times, has_time, unreadable = times_ms(_chosen(described.times, rows))
        columns = EventColumns(
            rows=numbers.rows,
            instances=numbers.instances,
            predictions=numbers.predictions,
            times_ms=times,
            has_time=has_time,
            ids=_chosen(described.ids, rows),
            segments=_chosen(described.segments, rows),
            models=_chosen(described.models, rows),
        )
        good = columns.valid_numbers() & ~unreadable
        rejected += [self._explain(row, values[row], described) for row in numbers.rows[~good].tolist()]
        return event_batch(records, self._schema, columns, rejected)

    def _join(self, parts: list[_Numbers]) -> _Numbers:
        """Put parts that were read separately back into the order of their records."""
        if len(parts) == 1:
            return parts[0]
        size, n_classes = math.prod(self._schema.input_shape), self._schema.n_classes
        rows = np.concatenate([np.empty(0, dtype=np.int64), *(part.rows for part in parts)])
        order = np.argsort(rows)
        instances = np.concatenate(
            [np.empty((0, size), dtype=np.float32), *(part.instances for part in parts)], dtype=np.float32
        )
        predictions = None
        if self._schema.prediction_required:
            no_prediction = np.empty((0, n_classes), dtype=np.float32)
            found = [part.predictions for part in parts if part.predictions is not None]
            predictions = np.concatenate([no_prediction, *found], dtype=np.float32)[order]
        return _Numbers(rows[order], instances[order], predictions)

    def _unfit(self, row: int, value: bytes | None, event_format: TensorFormat) -> RejectedEvent:
        """Reject a value for what it is before its numbers are looked at."""
        try:
            length = len(checked_value(value, self._schema.max_bytes))
        except BadEventError as bad:
            return RejectedEvent(row, bad.reason, bad.detail)
        return RejectedEvent(row, RejectReason.WRONG_SHAPE, event_format.explain(length))

    def _explain(self, row: int, value: bytes | None, described: HeaderColumns) -> RejectedEvent:
        """Reject an event whose numbers or time are bad."""
        event_format = described.formats[row]
        if event_format is not None and value is not None:
            instance, prediction = event_format.split([value])
            if not finite_rows(to_float32(instance))[0]:
                detail = explain_not_finite("instance", instance[0], self._schema.input_shape)
                return RejectedEvent(row, RejectReason.NOT_FINITE, detail)
            if prediction is not None and not finite_rows(to_float32(prediction))[0]:
                detail = explain_not_finite("prediction", prediction[0], (self._schema.n_classes,))
                return RejectedEvent(row, RejectReason.NOT_FINITE, detail)
            if prediction is not None and not distribution_rows(to_float32(prediction))[0]:
                detail = explain_not_distribution("prediction", to_float32(prediction)[0])
                return RejectedEvent(row, RejectReason.NOT_A_DISTRIBUTION, detail)
        detail = (
            f"The header {names.EVENT_TIME!r} is {shown(described.times[row])}, expected {EXPECTED_TIME}."
        )
        return RejectedEvent(row, RejectReason.WRONG_DTYPE, detail)


@dataclass(frozen=True)
class _Numbers:
    """Instances (n, size) and predictions (n, n_classes) of some records."""

    rows: npt.NDArray[np.int64]
    instances: npt.NDArray[np.float32]
    predictions: npt.NDArray[np.float32] | None


def _numbers(event_format: TensorFormat, values: list[bytes], rows: Sequence[int]) -> _Numbers:
    instances, predictions = event_format.split(values)
    return _Numbers(
        rows=np.array(rows, dtype=np.int64),
        instances=to_float32(instances),
        predictions=None if predictions is None else to_float32(predictions),
    )


def _groups(
    values: Sequence[bytes | None], formats: Sequence[TensorFormat | None]
) -> Iterable[tuple[TensorFormat, int, Sequence[int]]]:
    """Group the rows that have a format by it and by the length of the value; usually there is one group."""
    lengths = [_TOMBSTONE if value is None else len(value) for value in values]
    groups: dict[tuple[TensorFormat, int], list[int]] = {}
    if (
        values
        and formats[0] is not None
        and lengths.count(lengths[0]) == formats.count(formats[0]) == len(values)
    ):
        return [(formats[0], lengths[0], range(len(values)))]
    for row, (event_format, length) in enumerate(zip(formats, lengths, strict=True)):
        if event_format is not None:
            groups.setdefault((event_format, length), []).append(row)
    return [(event_format, length, rows) for (event_format, length), rows in groups.items()]


def _chosen(column: Sequence[Chosen], rows: Sequence[int]) -> Sequence[Chosen]:
    return column if len(rows) == len(column) else [column[row] for row in rows]
