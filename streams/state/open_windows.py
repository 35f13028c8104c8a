"""The open windows of one monitor that this worker knows, as columns with a row for each segment."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from streams.state.pane_columns import NEVER, NOWHERE, PaneColumns, Rows, as_columns
from streams.state.windows import OpenWindow, Pane

EMPTY = Pane(0, NEVER, NOWHERE, {}, ())


class OpenWindows:
    """Open windows by segment.

    Parameters
    ----------
    hop
        Scores in a full pane.
    examples
        Most examples of a pane.

    Attributes
    ----------
    sequence
        Number of the window, int64; 0 where nothing is known of the segment.
    count
        Scores in the window, int64.
    opened_ms
        When its first score of its own came, int64; 0 before that.
    filling
        The pane that is being filled.
    full
        Full panes of the rows that have any.
    partitions
        Which partition each column of ``filling`` is.
    """

    def __init__(self, hop: int, examples: int) -> None:
        self._hop = hop
        self._examples = examples
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._rows: dict[str, int] = {}
        self._columns: dict[int, int] = {}
        self.partitions: list[int] = []
        self.sequence = np.zeros(1, np.int64)
        self.count = np.zeros(1, np.int64)
        self.opened_ms = np.zeros(1, np.int64)
        self.filling = PaneColumns.empty(1, 0, self._examples)
        self.full: dict[int, tuple[Pane, ...]] = {}

    @property
    def segments(self) -> list[str]:
        """Segments, by row."""
        return list(self._rows)

    def rows(self, segments: Iterable[str]) -> Rows:
        """Return the row of each segment; a new segment gets one."""
        known = self._rows
        found = np.array([known.setdefault(segment, len(known)) for segment in segments], np.intp)
        if len(known) > len(self.sequence):
            self._grow(2 * len(known), self.filling.first.shape[1])
        return found

    def columns(self, partitions: npt.NDArray[np.int32]) -> Rows:
        """Return the column of each partition, shape (n,); a new partition gets one."""
        # Sorting them out costs several times as much.
        distinct = np.flatnonzero(np.bincount(partitions))
        known = self._columns
        found = np.array(
            [known.setdefault(partition, len(known)) for partition in distinct.tolist()], np.intp
        )
        if len(known) > len(self.partitions):
            self.partitions = list(known)
            self._grow(len(self.sequence), len(known))
        column = np.zeros(distinct.max(initial=0) + 1, np.intp)
        column[distinct] = found
        return column[partitions]

    def learn(self, segment: str, window: OpenWindow) -> None:
        """Take an open window as it was found."""
        (row,) = rows = self.rows([segment])
        partial = [pane for pane in window.panes if pane.count < self._hop]
        full = window.panes[: len(window.panes) - len(partial)]
        self.columns(np.array([partition for pane in partial for partition in pane.offsets], np.int32))
        self.sequence[row], self.count[row] = window.sequence, window.count
        self.opened_ms[row] = window.opened_ms
        filling = partial or [EMPTY]
        self.filling.put(rows, as_columns(filling, self.partitions, self._examples))
        self.full.pop(row, None)
        if full:
            self.full[row] = full

    def _grow(self, segments: int, partitions: int) -> None:
        more = segments - len(self.sequence)
        self.sequence, self.count, self.opened_ms = (
            np.pad(column, (0, more)) for column in (self.sequence, self.count, self.opened_ms)
        )
        self.filling = self.filling.grow(segments, partitions)
