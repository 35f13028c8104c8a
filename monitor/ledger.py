"""The ledger of verdicts: applies them to the alert states in window order, whoever closed the windows.

Several workers may close windows of one segment. A verdict is applied only when the one before it is settled
or applied here; otherwise it waits. It is settled in Redis only after the alert that it raised is delivered,
so a worker that dies in between leaves a window that another worker judges again, with the same alert id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from monitor.alert_policy import AlertKind, AlertPolicy, AlertState, step
from monitor.verdicts import JudgedWindow
from streams.window_store import Settlement


class Delivery(Protocol):
    """A record on its way to the broker."""

    @property
    def delivered(self) -> bool:
        """Whether the broker has acknowledged it."""
        ...


Publish = Callable[[JudgedWindow, AlertKind, AlertState], Delivery]
"""Sends the alert that a verdict raised."""


@dataclass
class _Docket:
    """Verdicts of one segment."""

    settled: int = 0
    waiting: dict[int, JudgedWindow] = field(default_factory=dict)
    applied: list[JudgedWindow] = field(default_factory=list)
    state: AlertState = field(default_factory=AlertState)
    deliveries: list[Delivery] = field(default_factory=list)

    def start_over(self, raw: bytes | None) -> None:
        """Take what is stored as the truth and apply the unsettled verdicts to it anew."""
        self.settled, self.state = decode_stored(raw)
        self.waiting.update({judged.verdict.sequence: judged for judged in self.applied})
        self.waiting = {sequence: j for sequence, j in self.waiting.items() if sequence > self.settled}
        self.applied, self.deliveries = [], []


def decode_stored(raw: bytes | None) -> tuple[int, AlertState]:
    """Read a stored alert state: the last settled sequence, and the state after it."""
    if raw is None:
        return 0, AlertState()
    sequence, _, state = raw.partition(b" ")
    return int(sequence), AlertState.decode(state)


class Ledger:
    """Verdicts of one monitor that are not settled yet.

    Parameters
    ----------
    policy
        When to raise and when to resolve.
    publish
        Sends an alert.
    """

    def __init__(self, policy: AlertPolicy, publish: Publish) -> None:
        self._policy = policy
        self._publish = publish
        self._dockets: dict[str, _Docket] = {}
        self._busy: set[str] = set()

    def learn(self, stored: Mapping[str, bytes | None]) -> None:
        """Take note of alert states as stored; they matter where this worker knows only older ones."""
        for segment, raw in stored.items():
            docket = self._dockets.setdefault(segment, _Docket())
            if decode_stored(raw)[0] > docket.settled + len(docket.applied):
                docket.start_over(raw)
                self._apply(docket)

    def enter(self, judged: Iterable[JudgedWindow]) -> None:
        """Enter verdicts and apply all whose turn it is."""
        entered = set()
        for one in judged:
            docket = self._dockets.setdefault(one.window.segment, _Docket())
            if one.verdict.sequence > docket.settled + len(docket.applied):
                docket.waiting[one.verdict.sequence] = one
                entered.add(one.window.segment)
        for segment in entered:
            self._apply(self._dockets[segment])
        self._busy |= entered

    def waiting(self) -> list[str]:
        """Segments with verdicts that wait for an earlier one of another worker."""
        return [segment for segment in self._busy if self._dockets[segment].waiting]

    def unsettled(self) -> int:
        """Count verdicts that are not settled."""
        busy = (self._dockets[segment] for segment in self._busy)
        return sum(len(docket.waiting) + len(docket.applied) for docket in busy)

    def settlements(self) -> list[Settlement]:
        """Return what can be settled now: verdicts applied, their alerts delivered."""
        return [
            Settlement(
                segment=segment,
                after=docket.settled,
                state=docket.state.encode(),
                windows=[judged.window for judged in docket.applied],
                verdicts=[judged.verdict.encode() for judged in docket.applied],
            )
            for segment, docket in ((segment, self._dockets[segment]) for segment in self._busy)
            if docket.applied and all(delivery.delivered for delivery in docket.deliveries)
        ]

    def settled(self, settlements: Iterable[Settlement], refused: Mapping[str, bytes | None]) -> None:
        """Take note of which settlements Redis accepted; where another worker was first, start over."""
        for settlement in settlements:
            docket = self._dockets[settlement.segment]
            if settlement.segment in refused:
                docket.start_over(refused[settlement.segment])
                self._apply(docket)
            else:
                docket.settled += len(settlement.windows)
                docket.applied, docket.deliveries = [], []
            if not docket.waiting and not docket.applied:
                self._busy.discard(settlement.segment)

    def forget(self) -> None:
        """Drop everything; the windows are in Redis, or will be rebuilt."""
        self._dockets.clear()
        self._busy.clear()

    def _apply(self, docket: _Docket) -> None:
        while docket.waiting:
            judged = docket.waiting.pop(docket.settled + len(docket.applied) + 1, None)
            if judged is None:
                return
            docket.state, kind = step(
                self._policy, docket.state, judged.verdict.drift, judged.verdict.tested_ms
            )
            docket.applied.append(judged)
            if kind is not None:
                docket.deliveries.append(self._publish(judged, kind, docket.state))
