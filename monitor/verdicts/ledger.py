"""The ledger of verdicts: applies them to the alert states in window order, whoever closed the windows.

Several workers may close windows of one segment. A verdict is applied only when the one before it is settled
or applied here; otherwise it waits. First the alert that it raised is delivered, then it is announced where
the segment stands, then it is settled in Redis; so a worker that dies in between leaves a window that another
worker judges again, with the same alert id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState, step
from monitor.verdicts.standing import Standing
from monitor.verdicts.verdict import JudgedWindow
from streams.state.settling import Settlement


class Delivery(Protocol):
    """A record on its way to the broker."""

    @property
    def delivered(self) -> bool:
        """Whether the broker has acknowledged it."""
        ...


Announce = Callable[[str, Standing], Delivery]
"""Writes where a segment stands to a place that survives the loss of Redis."""

Publish = Callable[[JudgedWindow, AlertKind, AlertState], Delivery]
"""Sends the alert that a verdict raised."""


@dataclass(frozen=True)
class Delivered:
    """Nothing had to be sent."""

    delivered: bool = True


class _Applied(NamedTuple):
    """A verdict that was applied, the alert that it raised, and where the segment stands after it."""

    judged: JudgedWindow
    alert: Delivery
    standing: Standing


class _Announced(NamedTuple):
    """So many of the first applied verdicts, on their way to being settled."""

    applied: int
    standing: Standing
    delivery: Delivery


@dataclass
class _Docket:
    """Verdicts of one segment; ``standing`` is where it stands after those applied."""

    settled: int = 0
    waiting: dict[int, JudgedWindow] = field(default_factory=dict)
    applied: list[_Applied] = field(default_factory=list)
    standing: Standing = field(default_factory=Standing)
    announced: _Announced | None = None

    def start_over(self, raw: bytes | None) -> None:
        """Take what is stored as the truth and apply the unsettled verdicts to it anew."""
        self.standing = Standing.decode(raw)
        self.settled = self.standing.sequence
        self.waiting.update({one.judged.verdict.sequence: one.judged for one in self.applied})
        self.waiting = {sequence: j for sequence, j in self.waiting.items() if sequence > self.settled}
        self.applied, self.announced = [], None

    def announce(self, segment: str, announce: Announce) -> None:
        """Announce where the segment stands after the verdicts whose alerts are delivered."""
        count = 0
        for one in self.applied:
            if not one.alert.delivered:
                break
            count += 1
        if count:
            standing = self.applied[count - 1].standing
            self.announced = _Announced(count, standing, announce(segment, standing))


class Ledger:
    """Verdicts of one monitor that are not settled yet.

    Parameters
    ----------
    policy
        When to raise and when to resolve.
    publish
        Sends an alert.
    announce
        Writes down where a segment stands; by default nowhere.
    """

    def __init__(
        self, policy: AlertPolicy, publish: Publish, announce: Announce = lambda *_: Delivered()
    ) -> None:
        self._policy = policy
        self._publish = publish
        self._announce = announce
        self._dockets: dict[str, _Docket] = {}
        self._busy: set[str] = set()

    def learn(self, stored: Mapping[str, bytes | None]) -> None:
        """Take note of stored standings; they matter where this worker knows only older ones."""
        for segment, raw in stored.items():
            docket = self._dockets.setdefault(segment, _Docket())
            if Standing.decode(raw).sequence > docket.standing.sequence:
                docket.start_over(raw)
                self._apply(docket)

    def enter(self, judged: Iterable[JudgedWindow]) -> None:
        """Enter verdicts and apply all whose turn it is."""
        entered = set()
        for one in judged:
            docket = self._dockets.setdefault(one.window.segment, _Docket())
            if one.verdict.sequence > docket.standing.sequence:
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
        """Return what can be settled now: verdicts applied, their alerts delivered, the outcome announced."""
        settlements = []
        for segment in self._busy:
            docket = self._dockets[segment]
            if docket.announced is None:
                docket.announce(segment, self._announce)
            announced = docket.announced
            if announced is not None and announced.delivery.delivered:
                settled = [one.judged for one in docket.applied[: announced.applied]]
                settlements.append(
                    Settlement(
                        segment=segment,
                        after=docket.settled,
                        standing=announced.standing.encode(),
                        windows=[judged.window for judged in settled],
                        verdicts=[judged.verdict.encode() for judged in settled],
                        marked=_last_drifted(settled),
                    )
                )
        return settlements

    def settled(self, settlements: Iterable[Settlement], refused: Mapping[str, bytes | None]) -> None:
        """Take note of which settlements Redis accepted; where another worker was first, start over."""
        for settlement in settlements:
            docket = self._dockets[settlement.segment]
            if settlement.segment in refused:
                docket.start_over(refused[settlement.segment])
                self._apply(docket)
            else:
                docket.settled += len(settlement.windows)
                docket.applied = docket.applied[len(settlement.windows) :]
                docket.announced = None
            if not docket.waiting and not docket.applied:
                self._busy.discard(settlement.segment)

    def forget(self) -> None:
        """Drop everything; the windows are in Redis, or will be rebuilt."""
        self._dockets.clear()
        self._busy.clear()

    def _apply(self, docket: _Docket) -> None:
        while docket.waiting:
            before = docket.standing
            judged = docket.waiting.pop(before.sequence + 1, None)
            if judged is None:
                return
            alert, kind = step(self._policy, before.alert, judged.verdict.drift, judged.verdict.tested_ms)
            docket.standing = Standing(
                before.sequence + 1, alert, {**before.frontier, **judged.window.frontier}
            )
            sent = Delivered() if kind is None else self._publish(judged, kind, alert)
            docket.applied.append(_Applied(judged, sent, docket.standing))


def _last_drifted(settled: Sequence[JudgedWindow]) -> int | None:
    """Place of the last window that has drifted: the one that people ask about when all is well again."""
    return max((place for place, one in enumerate(settled) if one.verdict.drift), default=None)
