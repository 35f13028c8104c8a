"""A monitor tried out on scores without Kafka and Redis: windows, verdicts and alerts as in a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from detectors.promises.online_fdr import FdrState, OnlineFdr
from detectors.promises.promises import Threshold
from detectors.window_tests import WindowTest
from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState, step
from monitor.config import MonitorConfig
from monitor.policies import alert_policy, window_policy
from monitor.verdicts.promises import monitor_test, threshold_rule
from monitor.verdicts.tied_scores import TieOrder
from monitor.verdicts.verdict import judge
from streams.state.windows import SCORE_DTYPE, ClosedWindow, Pane, WindowPolicy

FloatArray = npt.NDArray[np.float64]

WINDOWS_AT_A_TIME = 500
"""Windows judged in one call."""


@dataclass(frozen=True)
class Role:
    """What a monitor does with scores.

    Attributes
    ----------
    windows
        Size and hop of its windows; none closes for its age here.
    alerts
        Its alert policy without cool-down and reminders, since samples have no clock.
    test, ties, threshold_of
        As in `monitor.verdicts.verdict.judge`.
    fdr
        Its procedure when it promises a false discovery rate, which it has for itself here.
    """

    windows: WindowPolicy
    alerts: AlertPolicy
    test: WindowTest
    ties: TieOrder | None
    threshold_of: Callable[[int], Threshold]
    fdr: OnlineFdr | None

    @classmethod
    def of(cls, config: MonitorConfig, reference: FloatArray) -> Role:
        """Read it from the config, with the scores that windows are tested against, shape (n,)."""
        test, ties = monitor_test(config, reference)
        return cls(
            windows=window_policy(config),
            alerts=replace(alert_policy(config), cooldown_ms=0, remind_after_ms=None),
            test=test,
            ties=ties,
            threshold_of=threshold_rule(config, len(reference)),
            fdr=None if config.test.fdr is None else OnlineFdr(config.test.fdr),
        )


class Rehearsal:
    """One stream of scores on its way through a monitor.

    Parameters
    ----------
    role
        What the monitor does.
    segment
        What the stream is called; what is decided at random for a window depends on it.

    Attributes
    ----------
    events
        Scores so far.
    drifted, p_values
        Verdict and p-value of each window so far.
    detected
        Places in ``drifted`` of the windows that raised an alert.
    """

    def __init__(self, role: Role, segment: str) -> None:
        self._role = role
        self._segment = segment
        self._kept: npt.NDArray[np.float32] = np.empty(0, dtype=SCORE_DTYPE)
        self._alert = AlertState()
        self._fdr: FdrState | None = None if role.fdr is None else role.fdr.start()
        self.events = 0
        self.drifted: list[bool] = []
        self.p_values: list[float] = []
        self.detected: list[int] = []

    @property
    def missing(self) -> int:
        """Scores until the next window is full."""
        return self._role.windows.size - len(self._kept)

    def add(self, scores: FloatArray) -> None:
        """Append scores, and judge the windows that they fill."""
        windows = self._close(scores.astype(SCORE_DTYPE))
        self.events += len(scores)
        for begin in range(0, len(windows), WINDOWS_AT_A_TIME):
            self._judge(windows[begin : begin + WINDOWS_AT_A_TIME])

    def _close(self, scores: npt.NDArray[np.float32]) -> list[ClosedWindow]:
        size, hop = self._role.windows.size, self._role.windows.hop
        stream = np.concatenate([self._kept, scores])
        first = self.events - len(self._kept)
        starts = range(0, len(stream) - size + 1, hop)
        self._kept = stream[len(starts) * hop :]
        return [
            self._window(len(self.drifted) + i + 1, first + start, stream[start : start + size])
            for i, start in enumerate(starts)
        ]

    def _window(self, sequence: int, first: int, scores: npt.NDArray[np.float32]) -> ClosedWindow:
        last = first + len(scores) - 1
        pane = Pane(len(scores), first, last, {0: (first, last)}, ())
        return ClosedWindow(self._segment, sequence, pane, {0: last + 1}, scores)

    def _judge(self, windows: Sequence[ClosedWindow]) -> None:
        role = self._role
        judged = judge(
            windows,
            role.test,
            threshold_of=role.threshold_of,
            score_threshold=None,
            reference="",
            now_ms=0,
            ties=role.ties,
        )
        for verdict in (one.verdict for one in judged):
            drift = verdict.drift
            if role.fdr is not None and self._fdr is not None:
                self._fdr, threshold = role.fdr.step(self._fdr, verdict.p_value)
                drift = verdict.p_value <= threshold
            self._alert, kind = step(role.alerts, self._alert, drift, 0)
            if kind is AlertKind.DETECTED:
                self.detected.append(len(self.drifted))
            self.drifted.append(drift)
            self.p_values.append(verdict.p_value)
