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
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.errors import StateError, StreamError
from streams.state.append_call import Advance, Planned, append_call
from streams.state.redis_connection import RedisConnection, ScriptCall, load_script
from streams.state.redis_keys import MonitorKeys
from streams.state.windows import (
    SCORE_DTYPE,
    ClosedWindow,
    OpenWindow,
    ScoredRows,
    WindowPolicy,
    close_aged,
    fill,
)

FOUND = load_script("found")
SETTLE = load_script("settle")
CLAIM = load_script("claim")


class StateLostError(StreamError):
    """Redis no longer holds what this worker knows was counted; partitions must be read again."""


@dataclass(frozen=True)
class Appended:
    """What a batch led to.

    Attributes
    ----------
    closed
        Windows that the batch filled, in order within each segment; this worker holds their lease.
    alert_states
        Stored alert state of each segment that closed a window; None where there is none yet.
    depends_on
        For each partition of the batch, the first offset that an unsettled window still holds; None when
        no window does.
    reference
        Version of the reference in force; None before any was promoted.
    """

    closed: Sequence[ClosedWindow]
    alert_states: Mapping[str, bytes | None]
    depends_on: Mapping[int, int | None]
    reference: str | None


@dataclass(frozen=True)
class Foundation:
    """What is known of a segment from elsewhere when Redis holds nothing.

    Attributes
    ----------
    sequence
        Number of its last settled window.
    standing
        Where it stood after that window, as ``Settlement.standing`` was.
    frontier
        First offset, by partition, that windows after it may hold.
    """

    sequence: int
    standing: bytes
    frontier: Mapping[int, int]


@dataclass(frozen=True)
class Settlement:
    """Verdicts of one segment, in window order, to be settled together.

    Attributes
    ----------
    segment
        The segment.
    after
        Sequence of the last window settled before these; 0 when there is none.
    standing
        Where the segment stands after these verdicts, as the caller encodes it: begins with the sequence of
        the last of them and a space.
    windows
        The windows.
    verdicts
        One encoded verdict a window, for the history.
    """

    segment: str
    after: int
    standing: bytes
    windows: Sequence[ClosedWindow]
    verdicts: Sequence[bytes]


@dataclass(frozen=True)
class Settled:
    """What became of settlements.

    Attributes
    ----------
    refused
        Stored alert state of each segment whose settlement was refused because another worker was first.
    depends_on
        For each partition of the settled windows, the first offset that an unsettled window still holds.
    """

    refused: Mapping[str, bytes | None]
    depends_on: Mapping[int, int | None]


@dataclass
class Batch:
    """Scores of one batch on their way into the windows of one monitor.

    Attributes
    ----------
    rows
        The scored rows, in the order consumed.
    segments
        Segment of each row; None when all belong to ``default_segment``.
    next_offsets
        For each partition in the batch (rejected events included), the offset after its last record.
    default_segment
        Segment of rows when ``segments`` is None.
    """

    rows: ScoredRows
    segments: Sequence[str] | None
    next_offsets: Mapping[int, int]
    default_segment: str = "all"
    _planned: Planned = field(default_factory=dict, repr=False)
    _partitions: list[int] = field(default_factory=list, repr=False)

    def leave_out(self, rows: npt.NDArray[np.bool_]) -> None:
        """Drop the rows that a mask names."""
        if rows.any():
            if self.segments is not None:
                self.segments = list(compress(self.segments, ~rows))
            self.rows = self.rows.take(~rows)


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
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: MonitorKeys,
        policy: WindowPolicy,
        *,
        lease_ms: int = 10_000,
        history: int = 500,
    ) -> None:
        self.keys = keys
        self.policy = policy
        self._redis = connection
        self._lease_ms = lease_ms
        self._history = history
        self._epoch = b""
        self._progress: dict[int, int] = {}
        self._open: dict[str, OpenWindow] = {}
        self._frontiers: dict[str, dict[int, int]] = {}

    def attach(self, recall: Callable[[], Mapping[str, Foundation]] = dict) -> None:
        """Learn how far the monitor has counted; forget all that was known before.

        Parameters
        ----------
        recall
            Called when Redis holds nothing of the monitor: returns what is known of its segments otherwise.
        """
        stored = self._read_progress()
        if b"epoch" not in stored:
            args: list[str | bytes | int] = [secrets.token_hex(8)]
            for segment, known in recall().items():
                frontier = json.dumps(
                    {str(partition): offset for partition, offset in known.frontier.items()}
                )
                args += [segment, OpenWindow(known.sequence + 1).encode(), known.standing, frontier]
            keys = [self.keys.progress, self.keys.open, self.keys.alerts, self.keys.frontiers]
            self._redis.run([ScriptCall(FOUND, keys, args)])
            stored = self._read_progress()
        self._epoch = stored.pop(b"epoch")
        self._progress = {int(partition): int(offset) for partition, offset in stored.items()}
        self._open.clear()
        with self._redis.client() as client:
            frontiers: dict[Any, Any] = client.hgetall(self.keys.frontiers)
        self._frontiers = {
            segment.decode(): {int(partition): offset for partition, offset in json.loads(raw).items()}
            for segment, raw in frontiers.items()
        }

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
        self._progress.pop(partition, None)

    def already_counted(self, rows: ScoredRows) -> npt.NDArray[np.bool_]:
        """Tell which rows are known to be counted, as a mask of shape (n,)."""
        limits = np.zeros(max(self._progress, default=-1) + 2, dtype=np.int64)
        limits[list(self._progress)] = list(self._progress.values())
        counted: npt.NDArray[np.bool_] = rows.offsets < limits[np.minimum(rows.partitions, len(limits) - 1)]
        return counted

    def settled_before(self, batch: Batch) -> npt.NDArray[np.bool_]:
        """Tell which rows belong to windows that were settled before Redis lost its data, as a mask."""
        segments = batch.segments or [batch.default_segment] * len(batch.rows.offsets)
        nowhere: dict[int, int] = {}
        return np.array(
            [
                offset < self._frontiers.get(segment, nowhere).get(partition, 0)
                for segment, partition, offset in zip(
                    segments, batch.rows.partitions.tolist(), batch.rows.offsets.tolist(), strict=True
                )
            ],
            dtype=np.bool_,
        )

    def append_call(self, batch: Batch) -> ScriptCall | None:
        """Work out what a batch does and return the call that does it; None when all of it is counted."""
        batch.leave_out(self.already_counted(batch.rows))
        if self._frontiers:
            batch.leave_out(self.settled_before(batch))
        batch._partitions = [p for p, o in batch.next_offsets.items() if o > self._progress.get(p, -1)]
        if not batch._partitions:
            return None
        now_ms = _now_ms()
        batch._planned = {}
        payloads: dict[str, bytes] = {}
        for segment, rows in _by_segment(batch):
            before = self._open.get(segment, _EMPTY)
            batch._planned[segment] = (before, fill(before, rows, self.policy, now_ms))
            payloads[segment] = rows.scores.astype(SCORE_DTYPE, copy=False).tobytes()
        return self._call(batch._partitions, batch.next_offsets, batch._planned, payloads)

    def append_reply(self, batch: Batch, reply: Sequence[Any]) -> Appended | None:
        """Read the answer to ``append_call``; None when another worker was first and the call must be redone.

        Raises
        ------
        StateLostError
            If Redis holds less than this worker knows was counted.
        """
        if reply[0] == b"ok":
            return self._written(batch._partitions, batch.next_offsets, batch._planned, reply)
        self._moved(batch._partitions, batch._planned, reply)
        return None

    def close_aged(self) -> Appended | None:
        """Close partial windows that have reached the policy's age; None when there is none."""
        if self.policy.max_age_ms is None:
            return None
        with self._redis.client() as client:
            stored: dict[Any, Any] = client.hgetall(self.keys.open)
        now_ms = _now_ms()
        planned = {}
        for name, raw in stored.items():
            before = OpenWindow.decode(raw)
            filling = close_aged(before, self.policy, now_ms)
            if filling is not None:
                planned[name.decode()] = (before, filling)
        if not planned:
            return None
        reply = self._redis.run([self._call([], {}, planned, {})])[0]
        if reply[0] == b"ok":
            return self._written([], {}, planned, reply)
        self._moved([], planned, reply)
        return None

    def settle_call(self, settlements: Sequence[Settlement]) -> ScriptCall:
        """Return the call that settles verdicts."""
        partitions = _partitions(settlements)
        args: list[str | bytes | int] = [self._epoch, self._history, len(partitions), len(settlements)]
        for settlement in settlements:
            args += [settlement.segment, settlement.after or "", settlement.standing]
            args.append(len(settlement.windows))
            for window, verdict in zip(settlement.windows, settlement.verdicts, strict=True):
                args += [window.sequence, verdict]
        keys = [self.keys.progress, self.keys.closed, self.keys.leases, self.keys.alerts]
        keys += [self.keys.depends(partition) for partition in partitions]
        keys += [self.keys.verdicts(settlement.segment) for settlement in settlements]
        keys += [self.keys.last(settlement.segment) for settlement in settlements]
        return ScriptCall(SETTLE, keys, args)

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
        _, outcomes, lows = reply
        return Settled(
            refused={
                settlement.segment: outcome or None
                for settlement, outcome in zip(settlements, outcomes, strict=True)
                if outcome != b"ok"
            },
            depends_on=_lowest(_partitions(settlements), lows),
        )

    def claim(self, most: int = 100) -> list[ClosedWindow]:
        """Take over closed windows that a worker left without a verdict.

        Raises
        ------
        StateLostError
            If Redis has lost the windows.
        """
        keys = [self.keys.progress, self.keys.closed, self.keys.leases]
        reply = self._redis.run([ScriptCall(CLAIM, keys, [self._epoch, self._lease_ms, most])])[0]
        if reply[0] == b"lost":
            raise StateLostError("Redis has lost the closed windows.")
        windows = []
        for member, stored in zip(reply[1::2], reply[2::2], strict=True):
            sequence, segment = member.decode().split(" ", 1)
            windows.append(_closed_window(segment, int(sequence), stored))
        return windows

    def alert_states(self, segments: Sequence[str]) -> dict[str, bytes | None]:
        """Read the stored alert states of segments."""
        with self._redis.client() as client:
            states: list[Any] = client.hmget(self.keys.alerts, list(segments))
        return dict(zip(segments, states, strict=True))

    def _read_progress(self) -> dict[bytes, bytes]:
        with self._redis.client() as client:
            stored: dict[Any, Any] = client.hgetall(self.keys.progress)
        return stored

    def _call(
        self,
        partitions: Sequence[int],
        next_offsets: Mapping[int, int],
        planned: Planned,
        payloads: Mapping[str, bytes],
    ) -> ScriptCall:
        advances = [Advance(p, self._progress.get(p), next_offsets[p]) for p in partitions]
        expected = {
            segment: before.token if segment in self._open else "" for segment, (before, _) in planned.items()
        }
        return append_call(self.keys, self._epoch, self._lease_ms, advances, planned, expected, payloads)

    def _written(
        self,
        partitions: Sequence[int],
        next_offsets: Mapping[int, int],
        planned: Planned,
        reply: Sequence[Any],
    ) -> Appended:
        _, reference, depends, scores, states = reply
        for partition in partitions:
            self._progress[partition] = next_offsets[partition]
        closed: list[ClosedWindow] = []
        closing_segments = []
        for segment, (_, filling) in planned.items():
            self._open[segment] = filling.window
            if filling.closings:
                closing_segments.append(segment)
            for closing in filling.closings:
                packed = np.frombuffer(scores[len(closed)], SCORE_DTYPE)
                closed.append(ClosedWindow(segment, closing.sequence, closing.pane, closing.frontier, packed))
        return Appended(
            closed=closed,
            alert_states={s: state or None for s, state in zip(closing_segments, states, strict=True)},
            depends_on=_lowest(partitions, depends),
            reference=reference.decode() or None,
        )

    def _moved(self, partitions: Sequence[int], planned: Planned, reply: Sequence[Any]) -> None:
        if reply[0] == b"lost":
            raise StateLostError(f"Redis has lost the state of monitor {self.keys.monitor!r}.")
        _, offsets, windows = reply
        for partition, stored in zip(partitions, offsets, strict=True):
            known = self._progress.get(partition)
            if known is not None and (not stored or int(stored) < known):
                raise StateLostError(
                    f"Redis counts monitor {self.keys.monitor!r} up to offset {stored.decode() or 'none'} of"
                    f" partition {partition}, where {known} was reached before."
                )
            if stored:
                self._progress[partition] = int(stored)
        for segment, raw in zip(planned, windows, strict=True):
            if raw:
                self._open[segment] = OpenWindow.decode(raw)
            elif self._open.pop(segment, None) is not None:
                raise StateLostError(
                    f"Redis has lost the open window of segment {segment!r} of monitor {self.keys.monitor!r}."
                )


_EMPTY = OpenWindow()


def last_settled(segment: str, raw: bytes) -> ClosedWindow:
    """Read a segment's last settled window as it is kept at ``MonitorKeys.last``.

    Raises
    ------
    StateError
        If it cannot be read.
    """
    sequence, _, stored = raw.partition(b" ")
    if not sequence.isdigit():
        raise StateError(f"The last window of segment {segment!r} cannot be read: {raw[:80]!r}.")
    return _closed_window(segment, int(sequence), stored)


def _closed_window(segment: str, sequence: int, stored: bytes) -> ClosedWindow:
    description, newline, scores = stored.partition(b"\n")
    if not newline:
        raise StateError(f"Window {sequence} of segment {segment!r} has no content in Redis.")
    return ClosedWindow.decode(segment, sequence, description, scores)


def _by_segment(batch: Batch) -> Iterator[tuple[str, ScoredRows]]:
    if not len(batch.rows.scores):
        return
    if batch.segments is None:
        yield batch.default_segment, batch.rows
        return
    codes: dict[str, int] = {}
    of_row = np.array([codes.setdefault(segment, len(codes)) for segment in batch.segments], dtype=np.int64)
    order = np.argsort(of_row, kind="stable")
    bounds = np.searchsorted(of_row[order], np.arange(len(codes) + 1))
    for segment, code in codes.items():
        yield segment, batch.rows.take(order[bounds[code] : bounds[code + 1]])


def _partitions(settlements: Sequence[Settlement]) -> list[int]:
    return sorted({p for s in settlements for window in s.windows for p in window.pane.offsets})


def _lowest(partitions: Sequence[int], lows: Sequence[bytes]) -> dict[int, int | None]:
    return {p: int(low) if low else None for p, low in zip(partitions, lows, strict=True)}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
