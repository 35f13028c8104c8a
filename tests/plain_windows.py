"""Windows one event at a time, as plainly as they can be said: what the columnar planner is held against."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.state.windows import ClosedWindow, WindowPolicy


@dataclass(frozen=True)
class Event:
    """One scored event."""

    segment: str
    score: float
    partition: int
    offset: int
    time_ms: int
    id: str | None


@dataclass(frozen=True)
class PlainWindow:
    """A closed window, in the terms of ``ClosedWindow``."""

    segment: str
    sequence: int
    scores: list[float]
    times_ms: tuple[int, int]
    offsets: dict[int, tuple[int, int]]
    examples: list[tuple[float, str | None, int, int]]
    frontier: dict[int, int]

    @classmethod
    def of(cls, window: ClosedWindow) -> PlainWindow:
        """Restate a window."""
        pane = window.pane
        assert pane.count == len(window.scores)
        return cls(
            window.segment,
            window.sequence,
            window.scores.tolist(),
            (pane.start_ms, pane.end_ms),
            dict(pane.offsets),
            [tuple(example) for example in pane.examples],
            dict(window.frontier),
        )


@dataclass
class PlainSegment:
    """The open window of a segment."""

    sequence: int = 1
    events: list[Event] = field(default_factory=list)
    opened_ms: int = 0


class PlainWindows:
    """All windows of a monitor."""

    def __init__(self, policy: WindowPolicy) -> None:
        self.policy = policy
        self.segments: dict[str, PlainSegment] = {}
        self.unsettled: list[PlainWindow] = []

    def add(self, event: Event, now_ms: int) -> list[PlainWindow]:
        """Add an event; returns the window that it closes, if it does."""
        own = self.segments.setdefault(event.segment, PlainSegment())
        own.events.append(event)
        own.opened_ms = own.opened_ms or now_ms
        if len(own.events) < self.policy.size:
            return []
        return [self._close(event.segment, own.events[self.policy.hop :])]

    def close_aged(self, now_ms: int) -> list[PlainWindow]:
        """Close windows that are old enough."""
        closed = []
        for segment, own in self.segments.items():
            old = own.opened_ms and now_ms - own.opened_ms >= (self.policy.max_age_ms or 0)
            if self.policy.max_age_ms is not None and old and len(own.events) >= self.policy.min_size:
                closed.append(self._close(segment, []))
        return closed

    def low(self, partition: int) -> int | None:
        """First offset that an unsettled window holds."""
        firsts = [window.offsets[partition][0] for window in self.unsettled if partition in window.offsets]
        firsts += [e.offset for s in self.segments.values() for e in s.events if e.partition == partition]
        return min(firsts, default=None)

    def _close(self, segment: str, kept: list[Event]) -> PlainWindow:
        own = self.segments[segment]
        offsets: dict[int, list[int]] = {}
        for event in own.events:
            offsets.setdefault(event.partition, []).append(event.offset)
        frontier = {partition: found[-1] + 1 for partition, found in offsets.items()}
        frontier |= {event.partition: event.offset for event in reversed(kept)}
        ranked = sorted(own.events, key=lambda event: -event.score)
        window = PlainWindow(
            segment,
            own.sequence,
            [event.score for event in own.events],
            (min(e.time_ms for e in own.events), max(e.time_ms for e in own.events)),
            {partition: (found[0], found[-1]) for partition, found in offsets.items()},
            [(e.score, e.id, e.partition, e.offset) for e in ranked[: self.policy.examples]],
            frontier,
        )
        self.segments[segment] = PlainSegment(own.sequence + 1, kept)
        self.unsettled.append(window)
        return window
