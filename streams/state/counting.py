"""How far a monitor has counted and what its windows hold, as far as this worker knows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from streams.state.batches import Batch, Planned
from streams.state.open_windows import OpenWindows
from streams.state.planning import Plan, plan_rows
from streams.state.windows import SCORE_DTYPE, ClosedWindow, ScoredRows, WindowPolicy


class Counting:
    """What is known of a monitor's progress and open windows.

    Parameters
    ----------
    policy
        When windows close.
    progress
        Next offset not yet counted by partition.
    frontiers
        By segment and partition, before which offsets all was settled when a loss of data was repaired.

    Attributes
    ----------
    windows
        The open windows.
    """

    def __init__(
        self,
        policy: WindowPolicy,
        progress: Mapping[int, int] | None = None,
        frontiers: Mapping[str, Mapping[int, int]] | None = None,
    ) -> None:
        self.policy = policy
        self.progress = dict(progress or {})
        self.windows = OpenWindows(policy.hop, policy.examples)
        self._frontiers = frontiers or {}
        self._repaired: dict[int, int] = {}
        for frontier in self._frontiers.values():
            for partition, offset in frontier.items():
                self._repaired[partition] = max(offset, self._repaired.get(partition, 0))

    def plan(self, batch: Batch, now_ms: int) -> Planned | None:
        """Work out what a batch does; rows that are counted leave it, and None says that all of it is."""
        batch.leave_out(_before(batch.rows, self.progress))
        if self._frontiers:
            batch.leave_out(self._settled(batch))
        rejected = Counter(
            reason for number, offset, reason in batch.rejected if offset >= self.progress.get(number, 0)
        )
        ahead = {p: o for p, o in batch.next_offsets.items() if o > self.progress.get(p, -1)}
        if not ahead:
            return None
        segments = [batch.default_segment] if batch.segments is None else batch.segments
        return Planned(ahead, plan_rows(self.windows, self.policy, batch.rows, segments, now_ms), rejected)

    def carry_out(self, planned: Planned) -> None:
        """Take a plan as done."""
        self.progress.update(planned.next_offsets)
        planned.plan.carry_out(self.windows)

    def _settled(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Tell which rows belong to windows that were settled before Redis lost its data, as a mask."""
        settled = _before(batch.rows, self._repaired)
        nowhere: dict[int, int] = {}
        for row in np.flatnonzero(settled).tolist():
            segment = batch.default_segment if batch.segments is None else batch.segments[row]
            frontier = self._frontiers.get(segment, nowhere)
            settled[row] = batch.rows.offsets[row] < frontier.get(int(batch.rows.partitions[row]), 0)
        return settled


def closed_windows(plan: Plan, scores: Sequence[bytes]) -> list[ClosedWindow]:
    """Return the windows that a plan closes, given the packed scores of each."""
    return [
        ClosedWindow(
            plan.segments[closing.segment],
            closing.sequence,
            closing.pane,
            closing.frontier,
            np.frombuffer(packed, SCORE_DTYPE),
        )
        for closing, packed in zip(plan.closings, scores, strict=True)
    ]


def wall_clock_ms() -> int:
    """Return the time, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _before(rows: ScoredRows, limits: Mapping[int, int]) -> npt.NDArray[np.bool_]:
    """Tell which rows stand before the limit of their partition, as a mask of shape (n,)."""
    limit = np.zeros(max(limits, default=-1) + 2, dtype=np.int64)
    limit[list(limits)] = list(limits.values())
    found: npt.NDArray[np.bool_] = rows.offsets < limit[np.minimum(rows.partitions, len(limit) - 1)]
    return found
