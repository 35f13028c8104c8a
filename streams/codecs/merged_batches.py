"""Batches that were decoded apart, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.events import EventBatch
from streams.records import RecordBatch


def merged(records: RecordBatch, *parts: tuple[EventBatch, Any]) -> EventBatch:
    """Put batches that hold different rows of ``records`` into one; each comes with those rows.

    Where only some have predictions, those of the others are NaN.
    """
    rows = np.concatenate([taken[events.rows] for events, taken in parts])
    order = np.argsort(rows, kind="stable")

    def texts(columns: Sequence[Sequence[str | None] | None]) -> list[str | None] | None:
        if all(column is None for column in columns):
            return None
        joined: list[str | None] = []
        for (events, _), column in zip(parts, columns, strict=True):
            joined += [None] * len(events) if column is None else column
        return [joined[at] for at in order]

    paths = {path for events, _ in parts for path in events.others}
    return EventBatch(
        records=records,
        rows=rows[order],
        instances=np.concatenate([events.instances for events, _ in parts])[order],
        predictions=_joined_predictions([events for events, _ in parts], order),
        times_ms=np.concatenate([events.times_ms for events, _ in parts])[order],
        ids=texts([events.ids for events, _ in parts]),
        segments=texts([events.segments for events, _ in parts]),
        models=texts([events.models for events, _ in parts]),
        rejected=sorted(
            (
                replace(event, row=int(taken[event.row]))
                for events, taken in parts
                for event in events.rejected
            ),
            key=lambda event: event.row,
        ),
        others={path: texts([events.others.get(path) for events, _ in parts]) or [] for path in paths},
    )


def _joined_predictions(
    parts: Sequence[EventBatch], order: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32] | None:
    given = [events.predictions for events in parts if events.predictions is not None]
    if not given:
        return None
    unknown = np.full((1, given[0].shape[1]), np.nan, dtype=np.float32)
    columns = [
        np.repeat(unknown, len(events), axis=0) if events.predictions is None else events.predictions
        for events in parts
    ]
    return np.concatenate(columns)[order]
