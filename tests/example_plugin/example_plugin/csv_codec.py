"""Format ``csv``: an instance's numbers, then the prediction's, as text with a separator."""

from __future__ import annotations

import math

import numpy as np

from streams.codecs.columns import EventColumns, event_batch
from streams.codecs.validation import distribution_rows, finite_rows
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.records import RecordBatch


class CsvCodec:
    """Decodes lines such as ``0.1;0.2;0.9;0.1``; ``separator`` is an option of the format."""

    def __init__(self, schema: EventSchema, *, separator: str = ",") -> None:
        if len(separator) != 1:
            raise CodecError(f"The option 'separator' is {separator!r}, expected one character.")
        self._schema = schema
        self._separator = separator
        self._size = math.prod(schema.input_shape)
        self._width = self._size + (schema.n_classes if schema.prediction_required else 0)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        rejected: list[RejectedEvent] = []
        numbers = np.zeros((len(records), self._width), dtype=np.float32)
        for row, value in enumerate(records.values):
            try:
                numbers[row] = self._numbers(value or b"")
            except ValueError as error:
                rejected.append(
                    RejectedEvent(row, RejectReason.UNDECODABLE, f"Not a line of numbers: {error}.")
                )
        instances, predictions = numbers[:, : self._size], numbers[:, self._size :]
        good = finite_rows(numbers)
        if self._schema.prediction_required:
            good &= distribution_rows(predictions)
        known = {event.row for event in rejected}
        detail = "The numbers are not finite, or the last of them are no distribution."
        rejected += [
            RejectedEvent(row, RejectReason.NOT_A_DISTRIBUTION, detail)
            for row in np.flatnonzero(~good).tolist()
            if row not in known
        ]
        n = len(records)
        columns = EventColumns(
            rows=np.arange(n),
            instances=instances,
            predictions=predictions if self._schema.prediction_required else None,
            times_ms=np.zeros(n, dtype=np.int64),
            has_time=np.zeros(n, dtype=np.bool_),
            ids=[None] * n,
            segments=[None] * n,
            models=[None] * n,
        )
        return event_batch(records, self._schema, columns, rejected)

    def _numbers(self, value: bytes) -> list[float]:
        numbers = [float(text) for text in value.decode().split(self._separator)]
        if len(numbers) != self._width:
            raise ValueError(f"{len(numbers)} numbers, expected {self._width}")
        return numbers
