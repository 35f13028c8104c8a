"""Windows of scores as values, without any I/O.

A window is made of *panes* of ``hop`` scores each, so that a sliding window forgets exactly its oldest pane
and a tumbling window is the case of a single pane. Scores themselves are not kept here but in Redis, as
packed little-endian float32; a window as seen here is the description that travels beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic_core import PydanticSerializationError, to_json

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
            list(map(tuple, self.examples)),
        ]

    @cached_property
    def encoded(self) -> bytes:
        """The pane as JSON."""
        try:
            return to_json(self.to_json(), inf_nan_mode="constants")
        except PydanticSerializationError:
            # Half of a surrogate pair in an id, which JSON can only escape.
            return json.dumps(self.to_json()).encode()

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
    opened_ms
        Wall-clock time of its first score of its own, milliseconds since 1970; 0 before that.
    """

    sequence: int = 1
    panes: tuple[Pane, ...] = ()
    opened_ms: int = 0

    @property
    def count(self) -> int:
        """Scores so far."""
        return sum(pane.count for pane in self.panes)


class ClosedWindow(NamedTuple):
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
    scores: npt.NDArray[np.float32]

    @classmethod
    def decode(cls, segment: str, sequence: int, description: bytes, scores: bytes) -> ClosedWindow:
        """Read a window as it is kept in Redis.

        Raises
        ------
        StateError
            If it cannot have been written by ``encode_closed``.
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


def first_offsets(panes: Sequence[Pane]) -> dict[int, int]:
    """First offset by partition that panes hold."""
    found: dict[int, int] = {}
    for pane in panes:
        for partition, (first, _) in pane.offsets.items():
            found.setdefault(partition, first)
    return found


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
    return read_closed(segment, int(sequence), stored)


def read_closed(segment: str, sequence: int, stored: bytes) -> ClosedWindow:
    """Read a closed window as it is kept at ``MonitorKeys.closed``.

    Raises
    ------
    StateError
        If it cannot be read.
    """
    description, newline, scores = stored.partition(b"\n")
    if not newline:
        raise StateError(f"Window {sequence} of segment {segment!r} has no content in Redis.")
    return ClosedWindow.decode(segment, sequence, description, scores)
