"""Gathers the columns that a codec has read into an ``EventBatch``, without the rows that were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from streams.codecs.validation import distribution_rows, finite_rows
from streams.events import EventBatch, EventSchema, RejectedEvent
from streams.records import RecordBatch

Texts = Sequence[str | None]


@dataclass(frozen=True)
class EventColumns:
    """What was read from n records, good or bad.

    Attributes
    ----------
    rows
        Record of each entry, shape (n,), increasing.
    instances
        Shape (n, size of an instance).
    predictions
        Shape (n, n_classes), or None.
    times_ms
        Event times, shape (n,).
    has_time
        Which entries have one, shape (n,); the Kafka timestamp stands in for the others.
    ids, segments, models
        Length n.
    others
        By path, length n.
    """

    rows: npt.NDArray[np.int64]
    instances: npt.NDArray[np.float32]
    predictions: npt.NDArray[np.float32] | None
    times_ms: npt.NDArray[np.int64]
    has_time: npt.NDArray[np.bool_]
    ids: Texts
    segments: Texts
    models: Texts
    others: Mapping[str, Texts] = field(default_factory=dict)

    def valid_numbers(self) -> npt.NDArray[np.bool_]:
        """Tell which entries have finite instances, and predictions that are distributions; shape (n,)."""
        valid = finite_rows(self.instances)
        if self.predictions is not None:
            valid &= distribution_rows(self.predictions)
        return valid

    def take(self, entries: npt.NDArray[np.int64]) -> EventColumns:
        """Return the entries at these indexes, in their order."""
        indexes = entries.tolist()

        def taken(texts: Texts) -> list[str | None]:
            return [texts[index] for index in indexes]

        return EventColumns(
            rows=self.rows[entries],
            instances=self.instances[entries],
            predictions=None if self.predictions is None else self.predictions[entries],
            times_ms=self.times_ms[entries],
            has_time=self.has_time[entries],
            ids=taken(self.ids),
            segments=taken(self.segments),
            models=taken(self.models),
            others={path: taken(texts) for path, texts in self.others.items()},
        )

    def without(self, refused: set[int]) -> EventColumns:
        """Return the entries whose record is not among ``refused``."""
        rows = self.rows.tolist()
        if refused.isdisjoint(rows):
            return self
        return self.take(np.flatnonzero([row not in refused for row in rows]))


def joined(parts: Sequence[EventColumns]) -> EventColumns:
    """Put the entries of several parts, at least one, one after another."""
    if len(parts) == 1:
        return parts[0]
    predictions = [part.predictions for part in parts if part.predictions is not None]

    def texts(name: str) -> list[str | None]:
        return list(chain.from_iterable(getattr(part, name) for part in parts))

    return EventColumns(
        rows=np.concatenate([part.rows for part in parts]),
        instances=np.concatenate([part.instances for part in parts]),
        predictions=np.concatenate(predictions) if predictions else None,
        times_ms=np.concatenate([part.times_ms for part in parts]),
        has_time=np.concatenate([part.has_time for part in parts]),
        ids=texts("ids"),
        segments=texts("segments"),
        models=texts("models"),
        others={
            path: list(chain.from_iterable(part.others.get(path, ()) for part in parts))
            for path in dict.fromkeys(chain.from_iterable(part.others for part in parts))
        },
    )


def joined_by_row(parts: Sequence[EventColumns]) -> EventColumns:
    """Put the entries of several parts, at least one, in the order of their records."""
    columns = joined(parts)
    return columns if len(parts) == 1 else columns.take(np.argsort(columns.rows, kind="stable"))


def event_batch(
    records: RecordBatch, schema: EventSchema, columns: EventColumns, rejected: list[RejectedEvent]
) -> EventBatch:
    """Build the batch of all entries whose record was not rejected; ``rejected`` may be in any order."""
    if rejected:
        rejected.sort(key=lambda event: event.row)
        columns = columns.without({event.row for event in rejected})
    times_ms = columns.times_ms
    if not columns.has_time.all():
        times_ms = np.where(columns.has_time, times_ms, records.timestamps_ms[columns.rows])
    return EventBatch(
        records=records,
        rows=columns.rows,
        instances=columns.instances.reshape(len(columns.rows), *schema.input_shape),
        predictions=columns.predictions,
        times_ms=times_ms,
        ids=_unless_empty(columns.ids),
        segments=_unless_empty(columns.segments),
        models=_unless_empty(columns.models),
        others=columns.others,
        rejected=rejected,
    )


def _unless_empty(column: Texts) -> Texts | None:
    return None if column.count(None) == len(column) else column
