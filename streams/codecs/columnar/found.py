"""The columns of a batch while they are being filled, some rows at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from streams.codecs.columnar.cursors import Bools, Ints
from streams.codecs.columnar.wanted import name_of_other
from streams.codecs.columns import EventColumns, event_batch
from streams.codecs.event_reader import ReadEvent
from streams.codecs.event_time import EARLIEST_MS, LATEST_MS, parse_times_ms
from streams.codecs.rejection import BadEventError
from streams.codecs.validation import distribution_rows, finite_rows
from streams.events import EventBatch, EventSchema, RejectedEvent
from streams.records import RecordBatch

TEXT_FIELDS = ("id", "model", "segment")
"""Fields that hold texts or integers."""


class Found:
    """What has been read of n records; rows that nothing was put into are not ``good`` in the end.

    Parameters
    ----------
    schema
        What a valid event looks like.
    n
        Number of records.
    """

    def __init__(self, schema: EventSchema, n: int) -> None:
        self._schema = schema
        self._numbers = {"instance": np.zeros((n, math.prod(schema.input_shape)), dtype=np.float32)}
        if schema.prediction_required:
            self._numbers["prediction"] = np.zeros((n, schema.n_classes), dtype=np.float32)
        self._has = {name: np.zeros(n, dtype=np.bool_) for name in self._numbers}
        names = [*TEXT_FIELDS, *map(name_of_other, schema.others)]
        self._texts: dict[str, list[str | None]] = {name: [None] * n for name in names}
        self._times = np.zeros(n, dtype=np.int64)
        self._has_time = np.zeros(n, dtype=np.bool_)
        self._rejected: dict[int, RejectedEvent] = {}
        self.good = np.ones(n, dtype=np.bool_)

    def size(self, name: str) -> int:
        """How many numbers a field holds."""
        return self._numbers[name].shape[1]

    def put_numbers(self, name: str, rows: Ints, numbers: npt.NDArray[np.generic]) -> None:
        """Put numbers of any type, shape (m, size), into a field."""
        with np.errstate(over="ignore", invalid="ignore"):
            self._numbers[name][rows if len(rows) < len(self.good) else slice(None)] = numbers
        self._has[name][rows] = True

    def put_texts(self, name: str, rows: Ints, texts: Sequence[str | None]) -> None:
        """Put texts into a field; a time is read from them."""
        if name == "time":
            read, readable = parse_times_ms([text or "" for text in texts])
            self._put_times(rows, read, readable)
            return
        column = self._texts[name]
        if len(rows) == len(column):
            column[:] = texts
            return
        for row, text in zip(rows.tolist(), texts, strict=True):
            column[row] = text

    def put_integers(self, name: str, rows: Ints, integers: Ints) -> None:
        """Put integers into a field; a time is in milliseconds since 1970."""
        if name == "time":
            self._put_times(rows, integers, (integers >= EARLIEST_MS) & (integers <= LATEST_MS))
        else:
            self.put_texts(name, rows, list(map(str, integers.tolist())))

    def reject(self, rows: Ints, bad: BadEventError) -> None:
        """Reject rows for a reason that they share."""
        for row in rows.tolist():
            self._rejected[row] = RejectedEvent(row, bad.reason, bad.detail)

    def finish(self, records: RecordBatch, judge: Callable[[int], ReadEvent]) -> EventBatch:
        """Check all columns, ask about every row of which anything is doubtful, and build the batch.

        Parameters
        ----------
        records
            The n records.
        judge
            Reads the event of a row exactly, or raises ``BadEventError``.
        """
        good = self.good
        for name, has in self._has.items():
            good &= has & finite_rows(self._numbers[name])
        predictions = self._numbers.get("prediction")
        if predictions is not None:
            good &= distribution_rows(predictions)
        for row in np.flatnonzero(~good).tolist():
            if row not in self._rejected:
                self._settle(row, judge)
        columns = EventColumns(
            rows=np.arange(len(good), dtype=np.int64),
            instances=self._numbers["instance"],
            predictions=predictions,
            times_ms=self._times,
            has_time=self._has_time,
            ids=self._texts["id"],
            segments=self._texts["segment"],
            models=self._texts["model"],
            others={path: self._texts[name_of_other(path)] for path in self._schema.others},
        )
        return event_batch(records, self._schema, columns, list(self._rejected.values()))

    def _put_times(self, rows: Ints, times: Ints, readable: Bools) -> None:
        self._times[rows] = np.where(readable, times, 0)
        self._has_time[rows] = readable
        self.good[rows] &= readable

    def _settle(self, row: int, judge: Callable[[int], ReadEvent]) -> None:
        try:
            event = judge(row)
        except BadEventError as bad:
            self._rejected[row] = RejectedEvent(row, bad.reason, bad.detail)
            return
        at = np.array([row])
        self.put_numbers("instance", at, event.instance)
        if event.prediction is not None:
            self.put_numbers("prediction", at, event.prediction)
        for name in TEXT_FIELDS:
            self._texts[name][row] = getattr(event, name)
        for path, text in zip(self._schema.others, event.others, strict=True):
            self._texts[name_of_other(path)][row] = text
        self._has_time[row] = event.time_ms is not None
        self._times[row] = event.time_ms or 0
