"""Windows of scores as values: how rows fill, slide and close them, without any I/O.

A window is made of *panes* of ``hop`` scores each, so that a sliding window forgets exactly its oldest pane
and a tumbling window is the case of a single pane. Scores themselves are not kept here but in Redis, as
packed little-endian float32; a window as seen here is the description that travels beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.errors import StateError

SCORE_DTYPE = np.dtype("<f4")
"""How scores are packed: little-endian float32, 4 bytes each."""


class Example(NamedTuple):
    """One of the highest-scoring events of a window, named so that it can be fetched again from Kafka."""

    score: float
    id: str | None
    partition: int
    offset: int


@dataclass(frozen=True)
class WindowPolicy:
    """When a window closes.

    Attributes
    ----------
    size
        Scores in a full window.
    hop
        Scores between the starts of two windows: ``size`` for tumbling windows, else a divisor of it.
    min_size
        Fewest scores on which a window closes for its age.
    max_age_ms
        Age in milliseconds at which a partial window closes; None to wait until it is full.
    examples
        How many of the highest-scoring events a window remembers.
    """

    size: int
    hop: int
    min_size: int = 1
    max_age_ms: int | None = None
    examples: int = 5

    def __post_init__(self) -> None:
        if self.size < 1 or self.hop < 1 or self.size % self.hop:
            raise ValueError(
                f"A window of {self.size} scores cannot slide by {self.hop}: the hop must divide the size."
            )
        if not 1 <= self.min_size <= self.size:
            raise ValueError(f"min_size must be between 1 and {self.size}, not {self.min_size}.")


@dataclass(frozen=True)
class Pane:
    """What is known of a run of scores besides the scores.

    Attributes
    ----------
    count
        Number of scores.
    start_ms, end_ms
        Earliest and latest event time, milliseconds since 1970.
    offsets
        First and last offset (both inclusive) by partition.
    examples
        Highest-scoring events, highest first.
    """

    count: int
    start_ms: int
    end_ms: int
    offsets: Mapping[int, tuple[int, int]]
    examples: tuple[Example, ...]

    @classmethod
    def merged(cls, panes: Sequence[Pane], examples: int) -> Pane:
        """Describe several consecutive panes as one that keeps at most ``examples`` examples."""
        if len(panes) == 1:
            return panes[0]
        offsets: dict[int, tuple[int, int]] = {}
        for pane in panes:
            for partition, (first, last) in pane.offsets.items():
                known = offsets.get(partition)
                offsets[partition] = (first, last) if known is None else (known[0], last)
        ranked = sorted((example for pane in panes for example in pane.examples), key=lambda e: -e.score)
        return cls(
            count=sum(pane.count for pane in panes),
            start_ms=min(pane.start_ms for pane in panes),
            end_ms=max(pane.end_ms for pane in panes),
            offsets=offsets,
            examples=tuple(ranked[:examples]),
        )

    def to_json(self) -> list[Any]:
        """Return the pane as JSON-ready data."""
        return [
            self.count,
            self.start_ms,
            self.end_ms,
            {str(p): r for p, r in self.offsets.items()},
            self.examples,
        ]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Pane:
        """Read a pane from what ``to_json`` returned."""
        count, start_ms, end_ms, offsets, examples = data
        return cls(
            count,
            start_ms,
            end_ms,
            {int(partition): (first, last) for partition, (first, last) in offsets.items()},
            tuple(Example(*example) for example in examples),
        )


@dataclass(frozen=True)
class OpenWindow:
    """A window that still takes scores.

    Attributes
    ----------
    sequence
        Number of the window in its segment, from 1.
    panes
        Full panes, then at most one that is being filled.
    kept
        Scores it shares with the window before it; 0 for tumbling windows.
    opened_ms
        Wall-clock time of its first score of its own, milliseconds since 1970; 0 before that.
    """

    sequence: int = 1
    panes: tuple[Pane, ...] = ()
    kept: int = 0
    opened_ms: int = 0

    @property
    def count(self) -> int:
        """Scores so far."""
        return sum(pane.count for pane in self.panes)

    @property
    def token(self) -> str:
        """Names this very state of the window among all it goes through."""
        return f"{self.sequence}:{self.count}"

    def encode(self) -> bytes:
        """Return the form kept in Redis: the token, a space and JSON."""
        body = json.dumps(
            [self.kept, self.opened_ms, [pane.to_json() for pane in self.panes]], separators=(",", ":")
        )
        return f"{self.token} {body}".encode()

    @classmethod
    def decode(cls, raw: bytes) -> OpenWindow:
        """Read what ``encode`` wrote.

        Raises
        ------
        StateError
            If it cannot have been written by ``encode``.
        """
        try:
            token, body = raw.split(b" ", 1)
            kept, opened_ms, panes = json.loads(body)
            sequence = int(token.split(b":")[0])
            window = cls(sequence, tuple(Pane.from_json(pane) for pane in panes), kept, opened_ms)
        except (ValueError, TypeError) as error:
            raise StateError(f"An open window in Redis cannot be read: {raw[:80]!r}.") from error
        return window


@dataclass(frozen=True)
class ClosedWindow:
    """A full (or aged) window that awaits its verdict.

    Attributes
    ----------
    segment
        Segment it belongs to.
    sequence
        Number of the window in its segment, from 1.
    pane
        What is known of its scores.
    frontier
        For each of its partitions, the first offset that windows after it may hold.
    scores
        The scores, float32, shape (pane.count,).
    """

    segment: str
    sequence: int
    pane: Pane
    frontier: Mapping[int, int]
    scores: npt.NDArray[np.float32] = field(repr=False)

    @classmethod
    def decode(cls, segment: str, sequence: int, description: bytes, scores: bytes) -> ClosedWindow:
        """Read a window as it is kept in Redis.

        Raises
        ------
        StateError
            If it cannot have been written by ``Closing.encode``.
        """
        try:
            pane, frontier = json.loads(description)
            frontier = {int(partition): offset for partition, offset in frontier.items()}
            return cls(segment, sequence, Pane.from_json(pane), frontier, np.frombuffer(scores, SCORE_DTYPE))
        except (ValueError, TypeError, AttributeError) as error:
            raise StateError(f"A closed window in Redis cannot be read: {description[:80]!r}.") from error


class ScoredRows(NamedTuple):
    """Scores with their origin, in the order consumed; every array has shape (n,)."""

    scores: npt.NDArray[np.float32]
    partitions: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    times_ms: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    """Position of each row in ``ids``."""
    ids: Sequence[str | None] | None
    """Event ids of the batch that the rows were taken from; None when events have none."""

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> ScoredRows:
        """Return the rows that a mask or an index array chooses."""
        return ScoredRows(
            self.scores[chosen],
            self.partitions[chosen],
            self.offsets[chosen],
            self.times_ms[chosen],
            self.rows[chosen],
            self.ids,
        )

    def event_id(self, row: int) -> str | None:
        """Id of the event in a row, if it has one."""
        return None if self.ids is None else self.ids[int(self.rows[row])]


class Closing(NamedTuple):
    """One window that a batch of rows fills: the rows that complete it, and what of it stays for the next."""

    sequence: int
    rows: slice
    pane: Pane
    kept: int
    frontier: Mapping[int, int]

    def encode(self) -> bytes:
        """Return the description kept in Redis beside the scores."""
        frontier = {str(partition): offset for partition, offset in self.frontier.items()}
        return json.dumps([self.pane.to_json(), frontier], separators=(",", ":")).encode()


class Filling(NamedTuple):
    """What a run of rows does to a segment's window."""

    closings: tuple[Closing, ...]
    rest: slice
    """Rows that are left in the window after the last closing."""
    window: OpenWindow
    """The open window afterwards."""


def fill(window: OpenWindow, rows: ScoredRows, policy: WindowPolicy, now_ms: int) -> Filling:
    """Put rows into a segment's window and close it as often as they fill it."""
    closings: list[Closing] = []
    panes = list(window.panes)
    sequence, kept, opened_ms = window.sequence, window.kept, window.opened_ms
    start = taken_from = 0
    total = len(rows.scores)
    while start < total:
        partial = panes[-1].count if panes and panes[-1].count < policy.hop else 0
        stop = min(total, start + policy.hop - partial)
        pane = describe(rows, start, stop, policy.examples)
        if partial:
            pane = Pane.merged((panes.pop(), pane), policy.examples)
        panes.append(pane)
        start = stop
        opened_ms = opened_ms or now_ms
        if len(panes) * policy.hop == policy.size and pane.count == policy.hop:
            closed = Pane.merged(panes, policy.examples)
            del panes[0]
            kept = policy.size - policy.hop
            closings.append(
                Closing(sequence, slice(taken_from, stop), closed, kept, _frontier(closed, panes))
            )
            sequence += 1
            opened_ms, taken_from = 0, stop
    return Filling(
        tuple(closings), slice(taken_from, total), OpenWindow(sequence, tuple(panes), kept, opened_ms)
    )


def close_aged(window: OpenWindow, policy: WindowPolicy, now_ms: int) -> Filling | None:
    """Close a partial window that is old enough and holds enough; None when it is not yet due."""
    if policy.max_age_ms is None or not window.opened_ms or window.count < policy.min_size:
        return None
    # A window that was opened long after now was opened before the clock was set back.
    if abs(now_ms - window.opened_ms) < policy.max_age_ms:
        return None
    closed = Pane.merged(window.panes, policy.examples)
    closing = Closing(window.sequence, slice(0, 0), closed, 0, _frontier(closed, ()))
    return Filling((closing,), slice(0, 0), OpenWindow(window.sequence + 1))


def describe(rows: ScoredRows, start: int, stop: int, examples: int) -> Pane:
    """Describe rows ``start`` to ``stop`` as one pane."""
    times = rows.times_ms[start:stop]
    partitions = rows.partitions[start:stop]
    offsets = rows.offsets[start:stop]
    if partitions[0] == partitions[-1] and (partitions == partitions[0]).all():
        ranges = {int(partitions[0]): (int(offsets[0]), int(offsets[-1]))}
    else:
        ranges = {}
        for partition in np.unique(partitions):
            own = offsets[partitions == partition]
            ranges[int(partition)] = (int(own[0]), int(own[-1]))
    return Pane(
        stop - start, int(times.min()), int(times.max()), ranges, _highest(rows, start, stop, examples)
    )


def _highest(rows: ScoredRows, start: int, stop: int, examples: int) -> tuple[Example, ...]:
    scores = rows.scores[start:stop]
    if 0 < examples < len(scores):
        candidates = np.argpartition(scores, -examples)[-examples:]
    else:
        candidates = np.arange(len(scores) if examples else 0)
    ranked = candidates[np.argsort(-scores[candidates], kind="stable")] + start
    return tuple(
        Example(float(rows.scores[i]), rows.event_id(int(i)), int(rows.partitions[i]), int(rows.offsets[i]))
        for i in ranked
    )


def first_offsets(panes: Sequence[Pane]) -> dict[int, int]:
    """First offset by partition that panes hold."""
    found: dict[int, int] = {}
    for pane in panes:
        for partition, (first, _) in pane.offsets.items():
            found.setdefault(partition, first)
    return found


def _frontier(closed: Pane, kept: Sequence[Pane]) -> dict[int, int]:
    after = {partition: last + 1 for partition, (_, last) in closed.offsets.items()}
    return {**after, **first_offsets(kept)}
