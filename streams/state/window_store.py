"""Windows in Redis: every score counted in exactly one window, every closed window settled exactly once.

The store writes by *compare and append*. It keeps in memory what it last saw of a monitor's progress and
open windows, works out from that what a batch does to them, and hands Redis the old and the new state in one
script call. Redis writes all of it when the old state is still true, and nothing when another worker was
there first; the store then starts over from what that worker left. So a repeated event (after a restart,
after a rebalance, or from a worker that does not know that it lost its partition) finds its offset already
counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streams.errors import StreamError
from streams.state.append_call import Advance, append_call
from streams.state.batches import Appended, Batch, Planned
from streams.state.counting import Counting, closed_windows, wall_clock_ms
from streams.state.exchanges import Exchange
from streams.state.founding import Foundation, OtherWindowsError, Shape, found
from streams.state.planning import plan_aged
from streams.state.redis_connection import Command, RedisConnection, ScriptCall, load_script
from streams.state.redis_keys import MonitorKeys
from streams.state.settling import Settled, Settlement, lowest, read_settled, settle_call
from streams.state.window_bytes import read_window
from streams.state.windows import WindowPolicy, read_closed

CLAIM = load_script("claim")
AGED = load_script("aged")


class StateLostError(StreamError):
    """Redis no longer holds what this worker knows was counted; partitions must be read again."""


class WindowStore:
    """The windows of one monitor in Redis.

    Parameters
    ----------
    connection
        Where Redis is.
    keys
        Names of the monitor's keys.
    policy
        When windows close.
    lease_ms
        How long a closed window is left to the worker that closed it, in milliseconds.
    history
        Verdicts kept a segment.
    clock
        Wall-clock time in milliseconds since 1970, by which windows age.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: MonitorKeys,
        policy: WindowPolicy,
        *,
        lease_ms: int = 10_000,
        history: int = 500,
        clock: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self.keys = keys
        self.policy = policy
        self._redis = connection
        self._lease_ms = lease_ms
        self._history = history
        self._clock = clock
        self._epoch = b""
        self._known = Counting(policy)

    def attach(self, recall: Callable[[], Mapping[str, Foundation]] = dict) -> None:
        """Learn how far the monitor has counted; forget all that was known before.

        Parameters
        ----------
        recall
            Called when Redis holds nothing of the monitor: returns what is known of its segments otherwise.

        Raises
        ------
        OtherWindowsError
            If the windows in Redis have another shape than the policy's.
        """
        stored = self._read_progress()
        if b"epoch" not in stored:
            found(self._redis, self.keys, Shape.of(self.policy), recall())
            stored = self._read_progress()
        self.check_shape()
        self._epoch = stored.pop(b"epoch")
        with self._redis.client() as client:
            frontiers: dict[Any, Any] = client.hgetall(self.keys.frontiers)
        self._known = Counting(
            self.policy,
            progress={int(partition): int(offset) for partition, offset in stored.items()},
            frontiers={
                segment.decode(): {int(partition): offset for partition, offset in json.loads(raw).items()}
                for segment, raw in frontiers.items()
            },
        )

    def check_shape(self) -> None:
        """Look whether windows in Redis, if there are any, can go on as the policy says.

        Raises
        ------
        OtherWindowsError
            If they have another shape.
        """
        with self._redis.client() as client:
            stored: Any = client.get(self.keys.shape)
        if stored is not None and Shape.decode(stored) != Shape.of(self.policy):
            raise OtherWindowsError(self.keys.monitor, Shape.decode(stored), Shape.of(self.policy))

    def counted(self, partition: int) -> int | None:
        """Read the next offset of a partition that is not counted; None when nothing of it was counted.

        Raises
        ------
        StateLostError
            If Redis no longer holds the data set that this store is attached to.
        """
        with self._redis.client() as client:
            stored: Any = client.hmget(self.keys.progress, ["epoch", str(partition)])
        if stored[0] != self._epoch:
            raise StateLostError(f"Redis has lost the state of monitor {self.keys.monitor!r}.")
        return None if stored[1] is None else int(stored[1])

    def depends_on(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """Read, for each partition, the first offset that an unsettled window holds; None for no window.

        Raises
        ------
        StateLostError
            If Redis no longer holds the data set that this store is attached to.
        """
        with self._redis.client() as client:
            pipe = client.pipeline(transaction=True)
            pipe.hget(self.keys.progress, "epoch")
            for partition in partitions:
                pipe.zrange(self.keys.depends(partition), 0, 0, withscores=True)
            epoch, *lowest = pipe.execute()
        if epoch != self._epoch:
            raise StateLostError(f"Redis has lost the state of monitor {self.keys.monitor!r}.")
        return {p: int(found[0][1]) if found else None for p, found in zip(partitions, lowest, strict=True)}

    def forget_progress(self, partition: int) -> None:
        """Count a partition from scratch, because its topic was created anew."""
        with self._redis.client() as client:
            client.hdel(self.keys.progress, str(partition))
        self._known.progress.pop(partition, None)

    def append_call(self, batch: Batch) -> ScriptCall | None:
        """Work out what a batch does and return the call that does it; None when all of it is counted."""
        batch.planned = self._known.plan(batch, self._clock())
        return None if batch.planned is None else self._call(batch.planned)

    def append_reply(self, batch: Batch, reply: Sequence[Any]) -> Appended | None:
        """Read the answer to ``append_call``; None when another worker was first and the call must be redone.

        Raises
        ------
        StateLostError
            If Redis holds less than this worker knows was counted.
        """
        if batch.planned is None:
            raise ValueError("append_reply needs the answer to the batch's latest append_call.")
        return self._appended(batch.planned, reply)

    def aging(self) -> Exchange[Appended | None]:
        """Close partial windows that have reached the policy's age; None when there is none."""
        if self.policy.max_age_ms is None:
            return None
        args = [self._clock(), self.policy.max_age_ms, self.policy.min_size]
        aged = yield ScriptCall(AGED, [self.keys.open, self.keys.details], args)
        if not aged:
            return None
        segments = [name.decode() for name in aged[::3]]
        for segment, stored, described in zip(segments, aged[1::3], aged[2::3], strict=True):
            self._known.windows.learn(segment, read_window(stored, described or None))
        planned = Planned({}, plan_aged(self._known.windows, self.policy, segments))
        return self._appended(planned, (yield self._call(planned)))

    def settle_call(self, settlements: Sequence[Settlement]) -> ScriptCall:
        """Return the call that settles verdicts."""
        return settle_call(self.keys, self._epoch, self._history, settlements)

    @staticmethod
    def settle_reply(settlements: Sequence[Settlement], reply: Sequence[Any]) -> Settled:
        """Read the answer to ``settle_call``.

        Raises
        ------
        StateLostError
            If Redis has lost the windows.
        """
        if reply[0] == b"lost":
            raise StateLostError("Redis has lost the windows whose verdicts were to be settled.")
        return read_settled(settlements, reply[1], reply[2])

    def claiming(self, most: int = 100) -> Exchange[Appended | None]:
        """Take over closed windows that a worker left without a verdict; None when there is none.

        Raises
        ------
        StateLostError
            If Redis has lost the windows.
        """
        keys = [self.keys.progress, self.keys.closed, self.keys.leases]
        reply = yield ScriptCall(CLAIM, keys, [self._epoch, self._lease_ms, most])
        if reply[0] == b"lost":
            raise StateLostError("Redis has lost the closed windows.")
        windows = []
        for member, stored in zip(reply[1::2], reply[2::2], strict=True):
            sequence, segment = member.decode().split(" ", 1)
            windows.append(read_closed(segment, int(sequence), stored))
        if not windows:
            return None
        states = yield from self.reading_alerts(sorted({window.segment for window in windows}))
        return Appended(windows, states, depends_on={}, reference=None)

    def reading_alerts(self, segments: Sequence[str]) -> Exchange[dict[str, bytes | None]]:
        """Read the stored alert states of segments."""
        states = yield Command(("HMGET", self.keys.alerts, *segments))
        return dict(zip(segments, states, strict=True))

    def _read_progress(self) -> dict[bytes, bytes]:
        with self._redis.client() as client:
            stored: dict[Any, Any] = client.hgetall(self.keys.progress)
        return stored

    def _call(self, planned: Planned) -> ScriptCall:
        progress = self._known.progress
        advances = [Advance(p, progress.get(p), offset) for p, offset in planned.next_offsets.items()]
        size, windows = self.policy.size, self._known.windows
        return append_call(self.keys, self._epoch, self._lease_ms, size, advances, windows, planned)

    def _appended(self, planned: Planned, reply: Sequence[Any]) -> Appended | None:
        if reply[0] != b"ok":
            self._moved(planned, reply)
            return None
        self._known.carry_out(planned)
        _, reference, depends, scores, states = reply
        closed = closed_windows(planned.plan, scores)
        segments = dict.fromkeys(window.segment for window in closed)
        return Appended(
            closed=closed,
            alert_states={s: state or None for s, state in zip(segments, states, strict=True)},
            depends_on=lowest(list(planned.next_offsets), depends),
            reference=reference.decode() or None,
        )

    def _moved(self, planned: Planned, reply: Sequence[Any]) -> None:
        if reply[0] == b"lost":
            raise StateLostError(f"Redis has lost the state of monitor {self.keys.monitor!r}.")
        _, offsets, different = reply
        for partition, stored in zip(planned.next_offsets, offsets, strict=True):
            known = self._known.progress.get(partition)
            if known is not None and (not stored or int(stored) < known):
                raise StateLostError(
                    f"Redis counts monitor {self.keys.monitor!r} up to offset {stored.decode() or 'none'} of"
                    f" partition {partition}, where {known} was reached before."
                )
            if stored:
                self._known.progress[partition] = int(stored)
        for number, stored, described in zip(different[::3], different[1::3], different[2::3], strict=True):
            segment = planned.plan.segments[number - 1]
            if not stored:
                raise StateLostError(
                    f"Redis has lost the open window of segment {segment!r} of monitor {self.keys.monitor!r}."
                )
            self._known.windows.learn(segment, read_window(stored, described or None))
