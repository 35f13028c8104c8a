"""Panes as columns: what is known of many runs of scores, one run a row, described and merged all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.state.windows import Example, Pane, ScoredRows

Rows = npt.NDArray[np.intp]

NEVER = np.iinfo(np.int64).max
"""Earliest time and first offset of nothing: any other is less."""
NOWHERE = -1
"""Last offset of nothing: any other is more."""
NO_EXAMPLE = -np.inf
"""Score of an example that is not there: any other is more."""
WORTH_RAISING = 4
"""Mean rows a run for each example of it from which on it is faster to sort out rows before ranking them."""


@dataclass
class PaneColumns:
    """Panes as rows of arrays; ``Pane`` says what each column means.

    An empty pane holds ``NEVER``, ``NOWHERE`` and ``NO_EXAMPLE``, so that merging needs no case of its own.

    Attributes
    ----------
    count, start_ms, end_ms
        int64, shape (n,).
    first, last
        First and last offset by partition, int64, shape (n, p); which partition a column is, the owner knows.
    scores, partitions, offsets, ids
        Examples, highest first: float32, int32, int64 and objects (bytes or None), shape (n, k).
    """

    count: npt.NDArray[np.int64]
    start_ms: npt.NDArray[np.int64]
    end_ms: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    ids: npt.NDArray[np.object_]

    @classmethod
    def empty(cls, panes: int, partitions: int, examples: int) -> PaneColumns:
        """Return empty panes."""
        return cls(
            count=np.zeros(panes, np.int64),
            start_ms=np.full(panes, NEVER),
            end_ms=np.full(panes, NOWHERE, np.int64),
            first=np.full((panes, partitions), NEVER),
            last=np.full((panes, partitions), NOWHERE, np.int64),
            scores=np.full((panes, examples), NO_EXAMPLE, np.float32),
            partitions=np.zeros((panes, examples), np.int32),
            offsets=np.zeros((panes, examples), np.int64),
            ids=np.full((panes, examples), None, np.object_),
        )

    def __len__(self) -> int:
        return len(self.count)

    def take(self, rows: Rows) -> PaneColumns:
        """Return a copy of some rows."""
        return PaneColumns(*(getattr(self, column.name)[rows] for column in fields(self)))

    def put(self, rows: Rows, panes: PaneColumns) -> None:
        """Overwrite some rows."""
        for column in fields(self):
            getattr(self, column.name)[rows] = getattr(panes, column.name)

    def grow(self, panes: int, partitions: int) -> PaneColumns:
        """Return the same rows followed by empty ones, with columns for more partitions."""
        grown = PaneColumns.empty(panes, partitions, self.scores.shape[1])
        for column in fields(self):
            old = getattr(self, column.name)
            getattr(grown, column.name)[tuple(slice(size) for size in old.shape)] = old
        return grown

    def clear(self, rows: npt.NDArray[np.bool_]) -> None:
        """Empty the rows that a mask names."""
        self.put(np.flatnonzero(rows), PaneColumns.empty(1, self.first.shape[1], self.scores.shape[1]))

    def merge_earlier(self, rows: Rows, earlier: PaneColumns) -> None:
        """Merge earlier panes into some rows; on a tie the earlier example ranks first."""
        self.count[rows] += earlier.count
        self.start_ms[rows] = np.minimum(self.start_ms[rows], earlier.start_ms)
        self.end_ms[rows] = np.maximum(self.end_ms[rows], earlier.end_ms)
        self.first[rows] = np.minimum(self.first[rows], earlier.first)
        self.last[rows] = np.maximum(self.last[rows], earlier.last)
        examples = self.scores.shape[1]
        if not examples:
            return
        held = earlier.scores[:, 0] > NO_EXAMPLE
        both = np.flatnonzero(held & (self.scores[rows, 0] > NO_EXAMPLE))
        order = np.argsort(
            -np.hstack([earlier.scores[both], self.scores[rows[both]]]), axis=1, kind="stable"
        )[:, :examples]
        only = np.flatnonzero(held & ~(self.scores[rows, 0] > NO_EXAMPLE))
        for name in ("scores", "partitions", "offsets", "ids"):
            mine, theirs = getattr(self, name), getattr(earlier, name)
            merged = np.take_along_axis(np.hstack([theirs[both], mine[rows[both]]]), order, axis=1)
            mine[rows[both]] = merged
            mine[rows[only]] = theirs[only]

    def panes(self, partitions: Sequence[int]) -> list[Pane]:
        """Return the rows as values.

        Parameters
        ----------
        partitions
            Which partition each column of ``first`` and ``last`` is.
        """
        n_examples = np.count_nonzero(self.scores > NO_EXAMPLE, axis=1).tolist()
        ids = [decoded_id(name) for name in self.ids.ravel().tolist()]
        columns = (self.scores.ravel().tolist(), ids, self.partitions.ravel().tolist())
        # Made like this, a tuple with names costs a third.
        ranked = list(map(_EXAMPLE, zip(*columns, self.offsets.ravel().tolist(), strict=True)))
        begins = (np.arange(len(self)) * self.scores.shape[1]).tolist()
        plain = (
            column.tolist() for column in (self.count, self.start_ms, self.end_ms, self.first, self.last)
        )
        return [
            Pane(
                count,
                start_ms,
                end_ms,
                {
                    p: (low, high)
                    for p, low, high in zip(partitions, first, last, strict=True)
                    if high != NOWHERE
                },
                tuple(ranked[begin : begin + held]),
            )
            for begin, held, count, start_ms, end_ms, first, last in zip(
                begins, n_examples, *plain, strict=True
            )
        ]


_EXAMPLE: Callable[[tuple[Any, ...]], Example] = partial(tuple.__new__, Example)


def encoded_id(name: str | None) -> bytes | None:
    """Return an event id as it is kept; JSON may carry halves of surrogate pairs, which UTF-8 does not."""
    return None if name is None else name.encode("utf-8", "surrogatepass")


def decoded_id(kept: bytes | None) -> str | None:
    """Return the event id that is kept as these bytes."""
    return None if kept is None else kept.decode("utf-8", "surrogatepass")


def as_columns(panes: Sequence[Pane], partitions: Sequence[int], examples: int) -> PaneColumns:
    """Return values as rows; the inverse of ``PaneColumns.panes``."""
    found = PaneColumns.empty(len(panes), len(partitions), examples)
    column = {partition: i for i, partition in enumerate(partitions)}
    for row, pane in enumerate(panes):
        found.count[row], found.start_ms[row], found.end_ms[row] = pane.count, pane.start_ms, pane.end_ms
        for partition, (first, last) in pane.offsets.items():
            found.first[row, column[partition]], found.last[row, column[partition]] = first, last
        for rank, example in enumerate(pane.examples[:examples]):
            found.scores[row, rank], found.ids[row, rank] = example.score, encoded_id(example.id)
            found.partitions[row, rank], found.offsets[row, rank] = example.partition, example.offset
    return found


def describe(
    rows: ScoredRows, starts: Rows, columns: Rows, width: int, floors: npt.NDArray[np.float32], examples: int
) -> PaneColumns:
    """Describe consecutive runs of rows as one pane each.

    Parameters
    ----------
    rows
        At least one row; offsets grow within a partition.
    starts
        First row of each run, shape (n,), growing, from 0.
    columns
        Partition of each row as a column of ``first`` and ``last``.
    width
        Number of those columns.
    floors
        Score that a row of each run has to exceed to become an example, shape (n,).
    examples
        Most examples of a pane; among equal scores the earlier ranks first.
    """
    total = len(rows.scores)
    sizes = np.diff(starts, append=total)
    run = np.repeat(np.arange(len(starts)), sizes)
    panes = PaneColumns.empty(len(starts), width, examples)
    panes.count[:] = sizes
    panes.start_ms[:] = np.minimum.reduceat(rows.times_ms, starts)
    panes.end_ms[:] = np.maximum.reduceat(rows.times_ms, starts)
    range_of = run * width + columns
    # Of several values assigned to one place the last stays; offsets grow, so backwards that is the first.
    panes.first.reshape(-1)[range_of[::-1]] = rows.offsets[::-1]
    panes.last.reshape(-1)[range_of] = rows.offsets
    if not examples:
        return panes
    if total > WORTH_RAISING * examples * len(starts):
        floors = np.maximum(floors, _below_examples(rows.scores, starts, sizes, examples))
    candidates = np.flatnonzero(rows.scores > floors[run])
    ranked = candidates[np.lexsort((-rows.scores[candidates], run[candidates]))]
    rank = np.arange(len(ranked)) - np.searchsorted(run[ranked], run[ranked])
    ranked, rank = ranked[rank < examples], rank[rank < examples]
    place = run[ranked], rank
    panes.scores[place] = rows.scores[ranked]
    panes.partitions[place] = rows.partitions[ranked]
    panes.offsets[place] = rows.offsets[ranked]
    if rows.ids is not None:
        panes.ids[place] = np.array([encoded_id(rows.event_id(row)) for row in ranked.tolist()], np.object_)
    return panes


def _below_examples(
    scores: npt.NDArray[np.float32], starts: Rows, sizes: Rows, examples: int
) -> npt.NDArray[np.float32]:
    """Return a score for each run that all its examples exceed, shape (n,).

    A run is cut into as many parts as it has examples. The least of their highest scores is reached once in
    each part, so that no example is below it; of the other rows, however many, few are above.
    """
    cuts = starts[:, None] + sizes[:, None] * np.arange(examples) // examples
    reached = np.maximum.reduceat(scores, cuts.ravel()).reshape(cuts.shape).min(axis=1)
    return np.where(sizes < examples, NO_EXAMPLE, np.nextafter(reached, NO_EXAMPLE, dtype=np.float32))
