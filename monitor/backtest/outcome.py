"""What a backtest leads to: verdicts, states and alerts by monitor and segment, and what was rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from monitor.alerts.policy import AlertKind, DriftState
from monitor.alerts.replay import Moment, replay
from monitor.config import MonitorConfig
from monitor.policies import alert_policy
from monitor.verdicts.ledger import Delivered
from monitor.verdicts.standing import Standing
from monitor.verdicts.verdict import JudgedWindow, Verdict
from streams.events import RejectedEvent
from streams.records import RecordBatch
from streams.state.settling import Settlement
from streams.state.windows import Example

REJECTS_SHOWN = 5
"""Rejected events that are named with what was wrong."""


@dataclass
class SegmentHistory:
    """All verdicts of one segment, oldest first.

    Attributes
    ----------
    segment
        Its name.
    verdicts
        Verdicts by window.
    examples
        Highest-scoring events of each window.
    moments
        State after each verdict, and the alert that it raised.
    worst
        The window with the smallest p-value, and its verdict; of equal ones that with the largest statistic.
    standing
        Where the segment stands at the end.
    """

    segment: str
    verdicts: list[Verdict] = field(default_factory=list)
    examples: list[Sequence[Example]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    worst: JudgedWindow | None = None
    standing: Standing = field(default_factory=Standing)

    @property
    def drifted(self) -> int:
        """Number of drifted windows."""
        return sum(verdict.drift for verdict in self.verdicts)

    @property
    def in_drift(self) -> int:
        """Number of windows after which the segment stood in drift."""
        return sum(moment.state is DriftState.DRIFT for moment in self.moments)

    def alerts(self, kind: AlertKind) -> list[Verdict]:
        """Verdicts that raised an alert of a kind."""
        return [v for v, moment in zip(self.verdicts, self.moments, strict=True) if moment.alert is kind]

    def enter(self, settlement: Settlement) -> None:
        """Add settled verdicts."""
        for window, raw in zip(settlement.windows, settlement.verdicts, strict=True):
            verdict = Verdict.decode(raw)
            if self.worst is None or _badness(verdict) < _badness(self.worst.verdict):
                self.worst = JudgedWindow(window, verdict)
            self.verdicts.append(verdict)
            self.examples.append(window.pane.examples)
        self.standing = Standing.decode(settlement.standing)


@dataclass
class MonitorOutcome:
    """What one monitor did.

    Attributes
    ----------
    config
        The monitor.
    reference
        Sorted scores that windows were tested against, shape (n,).
    reference_version
        Its name.
    score_threshold
        Score above which an instance is flagged; None when the detector has none.
    segments
        Segments that had a verdict, by name.
    rejected
        Rejected events of its dead-letter topic, by reason.
    rejects
        The first of them: partition, offset, reason and detail.
    """

    config: MonitorConfig
    reference: npt.NDArray[np.float32]
    reference_version: str
    score_threshold: float | None
    segments: Mapping[str, SegmentHistory]
    rejected: Mapping[str, int]
    rejects: Sequence[tuple[int, int, str, str]]

    @property
    def windows(self) -> int:
        """Number of verdicts."""
        return sum(len(segment.verdicts) for segment in self.segments.values())

    @property
    def drifted(self) -> int:
        """Number of drifted windows."""
        return sum(segment.drifted for segment in self.segments.values())

    def alerts(self, kind: AlertKind) -> list[Verdict]:
        """Verdicts of all segments that raised an alert of a kind, by time."""
        found = [verdict for segment in self.segments.values() for verdict in segment.alerts(kind)]
        return sorted(found, key=lambda verdict: verdict.tested_ms)


class Recorder:
    """Takes note of what a pipeline decides; stands in for its dead letters."""

    def __init__(self) -> None:
        self._segments: dict[str, dict[str, SegmentHistory]] = {}
        self._rejected: dict[str, Counter[str]] = {}
        self._rejects: dict[str, list[tuple[int, int, str, str]]] = {}

    def settled(self, monitor: str, settlements: Sequence[Settlement]) -> None:
        """Note settled verdicts of a monitor."""
        segments = self._segments.setdefault(monitor, {})
        for settlement in settlements:
            name = settlement.segment
            if name not in segments:
                segments[name] = SegmentHistory(name)
            segments[name].enter(settlement)

    def send(
        self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]
    ) -> Sequence[Delivered]:
        """Note rejected records of a dead-letter topic."""
        self._rejected.setdefault(topic, Counter()).update(event.reason.value for event in rejected)
        named = self._rejects.setdefault(topic, [])
        for event in rejected[: REJECTS_SHOWN - len(named)]:
            place = int(records.partitions[event.row]), int(records.offsets[event.row])
            named.append((*place, event.reason.value, event.detail))
        return [Delivered()] * len(rejected)

    def segments(self, config: MonitorConfig) -> dict[str, SegmentHistory]:
        """Return the segments of a monitor by name, with state and alerts of each verdict."""
        found = self._segments.get(config.name, {})
        for segment in found.values():
            segment.moments = replay(alert_policy(config), segment.verdicts, segment.standing.alert)
        return dict(sorted(found.items()))

    def rejected(self, topic: str) -> tuple[dict[str, int], list[tuple[int, int, str, str]]]:
        """Return the rejected events of a dead-letter topic by reason, and the first of them."""
        return dict(self._rejected.get(topic, {})), self._rejects.get(topic, [])


def _badness(verdict: Verdict) -> tuple[float, float]:
    return verdict.p_value, -verdict.statistic
