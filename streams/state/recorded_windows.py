"""Windows of a recorded stream: in memory, and as old as its events say, however fast they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from streams.state.batches import Appended, Batch
from streams.state.memory_windows import MemoryCall, MemoryWindowStore
from streams.state.settling import Settled, Settlement
from streams.state.windows import ScoredRows, WindowPolicy

SHORTEST_STEP_MS = 1000
"""How exactly windows age at best, in milliseconds of event time; a worker looks as often."""
STEPS_OF_AN_AGE = 100
"""How exactly they do at least: longer steps for longer ages keep a year of events from taking hours."""


class RecordedWindowStore(MemoryWindowStore):
    """The windows of one monitor over events of the past.

    Parameters
    ----------
    policy
        When windows close. They age by the latest event time so far.
    on_settled
        Told of settled verdicts with their windows, in order within each segment.
    """

    def __init__(
        self, policy: WindowPolicy, on_settled: Callable[[Sequence[Settlement]], None] = lambda _: None
    ) -> None:
        self._now_ms = 0
        self._step_ms = max(SHORTEST_STEP_MS, (policy.max_age_ms or 0) // STEPS_OF_AN_AGE)
        self._on_settled = on_settled
        super().__init__(policy, history=0, clock=lambda: self._now_ms)

    def append_call(self, batch: Batch) -> MemoryCall | None:
        """Return the call that appends a batch, and closes windows at the age that they reach on the way."""
        if self.policy.max_age_ms is None:
            return super().append_call(batch)
        return lambda: self._append_as_it_came(batch)

    def _append_as_it_came(self, batch: Batch) -> Appended:
        led_to: list[Appended | None] = []
        for now_ms, part in _by_time(batch, self._now_ms, self._step_ms):
            self._now_ms = now_ms
            led_to.append(self.close_aged())
            planned = self._known.plan(part, now_ms)
            led_to.append(None if planned is None else self._carry_out(planned))
        known = [one for one in led_to if one is not None]
        closed = [window for one in known for window in one.closed]
        segments = list(dict.fromkeys(window.segment for window in closed))
        return Appended(closed, self.alert_states(segments), depends_on={}, reference=None)

    def _settle(self, settlements: Sequence[Settlement]) -> Settled:
        settled = super()._settle(settlements)
        self._on_settled([one for one in settlements if one.segment not in settled.refused])
        return settled


def _by_time(batch: Batch, now_ms: int, step_ms: int) -> Iterator[tuple[int, Batch]]:
    """Cut a batch where a step of event time has passed; yields the time at which each piece begins."""
    rows = batch.rows
    times = np.maximum(np.maximum.accumulate(rows.times_ms), now_ms) if len(rows.scores) else rows.times_ms
    cuts = np.flatnonzero(np.diff(times // step_ms)) + 1
    bounds = [0, *cuts.tolist(), len(times)]
    for start, stop in pairwise(bounds):
        last = stop == len(times)
        piece = rows.take(np.arange(start, stop))
        yield (
            int(times[start]) if len(times) else now_ms,
            Batch(
                piece,
                None if batch.segments is None else batch.segments[start:stop],
                batch.next_offsets if last else _next_offsets(piece),
                batch.default_segment,
            ),
        )


def _next_offsets(rows: ScoredRows) -> dict[int, int]:
    offsets: npt.NDArray[np.int64] = rows.offsets + 1
    return dict(zip(rows.partitions.tolist(), offsets.tolist(), strict=True))
