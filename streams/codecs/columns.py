"""Gathers the columns that a codec has read into an ``EventBatch``, without the rows that were refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

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

    def without(self, refused: set[int]) -> EventColumns:
        """Return the entries whose record is not among ``refused``."""
        if refused.isdisjoint(self.rows.tolist()):
            return self
        kept = np.array(
            [index for index, row in enumerate(self.rows.tolist()) if row not in refused], dtype=np.int64
        )
        return EventColumns(
            rows=self.rows[kept],
            instances=self.instances[kept],
            predictions=None if self.predictions is None else self.predictions[kept],
            times_ms=self.times_ms[kept],
            has_time=self.has_time[kept],
            ids=[self.ids[index] for index in kept],
            segments=[self.segments[index] for index in kept],
            models=[self.models[index] for index in kept],
            others={path: [texts[index] for index in kept] for path, texts in self.others.items()},
        )


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
