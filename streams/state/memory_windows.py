"""Windows in memory: the same windows as in Redis for one reader of a finite stream, such as a file.

Nothing survives the process and nobody else counts, so there is no fence, no lease and nothing to claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from streams.state.batches import Appended, Batch, Planned
from streams.state.counting import Counting, closed_windows, wall_clock_ms
from streams.state.exchanges import Exchange
from streams.state.founding import Foundation
from streams.state.planning import Plan, due_for_age, plan_aged
from streams.state.settling import Settled, Settlement
from streams.state.windows import SCORE_DTYPE, WindowPolicy

MemoryCall: TypeAlias = Callable[[], Any]
"""A call that ``MemoryConnection`` carries out; what a script call is to Redis."""


class MemoryConnection:
    """Carries out the calls of stores in memory, in the place of a connection to Redis."""

    @staticmethod
    def run(calls: Iterable[MemoryCall]) -> list[Any]:
        """Carry out calls and return their replies in order."""
        return [call() for call in calls]


class MemoryWindowStore:
    """The windows of one monitor in memory; what ``WindowStore`` is with Redis.

    Parameters
    ----------
    policy
        When windows close.
    history
        Verdicts kept a segment.
    clock
        Time in milliseconds since 1970 by which windows age; for a recorded stream that of its events.
    """

    def __init__(
        self, policy: WindowPolicy, *, history: int = 500, clock: Callable[[], int] = wall_clock_ms
    ) -> None:
        self.policy = policy
        self._history = history
        self._clock = clock
        self.attach()

    def attach(self, recall: Callable[[], Mapping[str, Foundation]] = dict) -> None:
        """Forget all that was counted; nothing is recalled, since nothing came before."""
        self._known = Counting(self.policy)
        self._scores: dict[str, list[npt.NDArray[np.float32]]] = {}
        self._alerts: dict[str, bytes] = {}
        self._verdicts: dict[str, list[bytes]] = {}

    def check_shape(self) -> None:
        """Find nothing that could have another shape."""

    def counted(self, partition: int) -> int | None:
        """Return the next offset of a partition that is not counted; None when nothing of it was counted."""
        return self._known.progress.get(partition)

    @staticmethod
    def depends_on(partitions: Sequence[int]) -> dict[int, int | None]:
        """Return, for each partition, that nothing has to be kept of it: nobody will read it again."""
        return dict.fromkeys(partitions)

    def forget_progress(self, partition: int) -> None:
        """Count a partition from scratch."""
        self._known.progress.pop(partition, None)

    def append_call(self, batch: Batch) -> MemoryCall | None:
        """Work out what a batch does and return the call that does it; None when all of it is counted."""
        batch.planned = planned = self._known.plan(batch, self._clock())
        return None if planned is None else lambda: self._carry_out(planned)

    @staticmethod
    def append_reply(batch: Batch, reply: Appended) -> Appended:
        """Return what ``append_call`` led to."""
        return reply

    def append(self, batch: Batch) -> Appended | None:
        """Append a batch; None when all of it was counted before."""
        call = self.append_call(batch)
        return None if call is None else self.append_reply(batch, call())

    def close_aged(self) -> Appended | None:
        """Close partial windows that have reached the policy's age; None when there is none."""
        windows = self._known.windows
        due = due_for_age(self.policy, windows.count, windows.opened_ms, self._clock())
        aged = list(compress(windows.segments, due))
        if not aged:
            return None
        return self._carry_out(Planned({}, plan_aged(windows, self.policy, aged)))

    def settle_call(self, settlements: Sequence[Settlement]) -> MemoryCall:
        """Return the call that settles verdicts."""
        return lambda: self._settle(settlements)

    @staticmethod
    def settle_reply(settlements: Sequence[Settlement], reply: Settled) -> Settled:
        """Return what ``settle_call`` led to."""
        return reply

    def aging(self) -> Exchange[Appended | None]:
        """Close partial windows that have reached the policy's age; None when there is none."""
        aged: Appended | None = yield self.close_aged
        return aged

    @staticmethod
    def claiming(most: int = 100) -> Exchange[Appended | None]:
        """Find no windows: there is no other worker that could have left one."""
        yield from ()
        return None

    def reading_alerts(self, segments: Sequence[str]) -> Exchange[dict[str, bytes | None]]:
        """Read the stored alert states of segments."""
        states: dict[str, bytes | None] = yield lambda: self.alert_states(segments)
        return states

    def alert_states(self, segments: Sequence[str]) -> dict[str, bytes | None]:
        """Return the stored alert states of segments."""
        return {segment: self._alerts.get(segment) for segment in segments}

    def verdicts(self, segment: str) -> list[bytes]:
        """Return the settled verdicts of a segment, oldest first."""
        return self._verdicts.get(segment, [])

    def _carry_out(self, planned: Planned) -> Appended:
        self._known.carry_out(planned)
        closed = closed_windows(planned.plan, self._append_scores(planned.plan))
        return Appended(
            closed=closed,
            alert_states=self.alert_states(list(dict.fromkeys(window.segment for window in closed))),
            depends_on={},
            reference=None,
        )

    def _append_scores(self, plan: Plan) -> list[bytes]:
        bounds = plan.bounds.tolist()
        taken = dict(enumerate(bounds[:-1]))
        closed = []
        for place, _, stop, _, kept, _ in plan.closings:
            start, taken[place] = taken[place], bounds[place] + stop
            held = self._scores.pop(plan.segments[place], [])
            scores = np.concatenate([*held, plan.scores[start : taken[place]]])
            closed.append(scores.astype(SCORE_DTYPE, copy=False).tobytes())
            self._scores[plan.segments[place]] = [scores[len(scores) - kept :]]
        for (place, start), stop in zip(taken.items(), bounds[1:], strict=True):
            if start < stop:
                self._scores.setdefault(plan.segments[place], []).append(plan.scores[start:stop])
        return closed

    def _settle(self, settlements: Sequence[Settlement]) -> Settled:
        refused: dict[str, bytes | None] = {}
        for settlement in settlements:
            stored = self._alerts.get(settlement.segment)
            if (0 if stored is None else int(stored.split(b" ")[0])) != settlement.after:
                refused[settlement.segment] = stored
                continue
            self._alerts[settlement.segment] = settlement.standing
            verdicts = [*self.verdicts(settlement.segment), *settlement.verdicts]
            self._verdicts[settlement.segment] = verdicts[max(0, len(verdicts) - self._history) :]
        return Settled(refused, {})
