"""Whether a monitor keeps its promise, and how soon it sees drift: measured on samples of scores.

Streams drawn from a clean sample go through the very functions that a worker uses:
`monitor.verdicts.verdict.judge` with the monitor's test and threshold, and
`monitor.alerts.policy.step` with its alert policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.promises.reference_luck import reference_luck
from detectors.promises.sliding_windows import overlapping_windows
from monitor.calibration.intervals import Interval, count_interval, mean_interval, share_interval
from monitor.calibration.rehearsal import Rehearsal, Role
from monitor.config import MonitorConfig
from monitor.errors import SetupError
from monitor.verdicts.promises import threshold_rule

FloatArray = npt.NDArray[np.float64]

WINDOWS_AT_A_TIME = 500
"""Windows between two reports of progress."""

SHARES = (0.1, 0.2, 0.3, 0.5, 1.0)
"""Shares of drifted scores at which the delay is measured."""

HORIZON_WINDOWS = 200
"""Full windows' worth of drifted events after which an episode counts as undetected."""

MOST_ATTEMPTS = 20
"""Streams that may raise an alert before an episode's drift; if all do, the sample is not clean."""

LARGEST_WINDOW_FOR_LUCK = 200
"""The spread over references takes many seconds to work out for larger windows."""


@dataclass(frozen=True)
class FalseAlarms:
    """What happened on a clean stream.

    Attributes
    ----------
    windows
        Number of windows tested.
    events
        Number of events in them.
    drifted
        Share of windows that drifted. Windows that overlap count as one window a size when its interval is
        computed.
    run_time
        Windows for each false alarm, a drifted window before which no window that it overlaps drifted.
    windows_per_alert, events_per_alert
        The same for each `detected` alert of the alert policy.
    p_values
        Of all windows, sorted, shape (windows,).
    """

    windows: int
    events: int
    drifted: Interval
    run_time: Interval
    windows_per_alert: Interval
    events_per_alert: Interval
    p_values: FloatArray


@dataclass(frozen=True)
class Delay:
    """How long drift lasted until an alert was raised.

    Attributes
    ----------
    share
        Share of drifted scores.
    detected
        Share of episodes in which an alert was raised within ``HORIZON_WINDOWS`` full windows of events.
    windows, events
        Mean number of windows closed, and of events seen, from the first drifted event to the alert, where
        one was raised; None where none ever was.
    slowest_events
        Number of events within which nine alerts of ten came; None where none ever did.
    """

    share: float
    detected: Interval
    windows: Interval | None
    events: Interval | None
    slowest_events: float | None


class Calibration:
    """A monitor with its reference, ready to be tried out.

    Parameters
    ----------
    config
        The monitor. Its windows are taken not to close for their age, and cool-down and reminders are left
        out, since samples have no clock.
    reference
        Scores that it tests against, shape (n,).
    clean
        Clean scores that are not in the reference, shape (k,).
    seed
        Of everything drawn; the same seed gives the same figures.
    """

    def __init__(
        self, config: MonitorConfig, reference: npt.ArrayLike, clean: npt.ArrayLike, seed: int = 0
    ) -> None:
        self._clean = np.asarray(clean, dtype=np.float64)
        self._seed = seed
        self._role = Role.of(config, np.asarray(reference, dtype=np.float64))

    def false_alarms(self, windows: int, progress: Callable[[int], object] = lambda _: None) -> FalseAlarms:
        """Stream clean scores through so many windows.

        Parameters
        ----------
        windows
            Number of windows.
        progress
            Told now and then how many are done.
        """
        size, hop = self._role.windows.size, self._role.windows.hop
        rng = np.random.default_rng([self._seed, 0])
        stream = Rehearsal(self._role, f"clean-{self._seed}")
        done = 0
        while done < windows:
            wanted = min(WINDOWS_AT_A_TIME, windows - done)
            stream.add(rng.choice(self._clean, stream.missing + (wanted - 1) * hop))
            done += wanted
            progress(done)
        drifted = np.flatnonzero(stream.drifted)
        overlap = overlapping_windows(size, hop)
        onsets = int((np.diff(drifted, prepend=-overlap - 1) > overlap).sum())
        alerts = len(stream.detected)
        independent = windows / (overlap + 1)
        return FalseAlarms(
            windows=windows,
            events=stream.events,
            drifted=share_interval(len(drifted) / windows * independent, independent),
            run_time=count_interval(onsets, windows),
            windows_per_alert=count_interval(alerts, windows),
            events_per_alert=count_interval(alerts, stream.events),
            p_values=np.sort(stream.p_values),
        )

    def delay(self, drifted: npt.ArrayLike, share: float, episodes: int) -> Delay:
        """Let a share of the scores be drifted ones from some moment on, in so many episodes.

        Parameters
        ----------
        drifted
            Drifted scores, shape (k,).
        share
            In (0, 1].
        episodes
            Number of streams, each clean at first. One that raises an alert before the drift is started over.
        """
        scores = np.asarray(drifted, dtype=np.float64)
        found = [self._episode(scores, share, number) for number in range(episodes)]
        windows = np.array([one[0] for one in found if one is not None], dtype=np.float64)
        events = np.array([one[1] for one in found if one is not None], dtype=np.float64)
        return Delay(
            share=share,
            detected=share_interval(len(events), episodes),
            windows=mean_interval(windows) if len(windows) else None,
            events=mean_interval(events) if len(events) else None,
            slowest_events=float(np.quantile(events, 0.9)) if len(events) else None,
        )

    def _episode(self, drifted: FloatArray, share: float, number: int) -> tuple[int, int] | None:
        """Windows and events until the alert; None if none came."""
        size, hop = self._role.windows.size, self._role.windows.hop
        rng = np.random.default_rng([self._seed, 1, round(share * 1e6), number])
        for attempt in range(MOST_ATTEMPTS):
            stream = Rehearsal(self._role, f"drift-{self._seed}-{share}-{number}-{attempt}")
            # Windows are full, the alert policy has seen as many as it remembers, and the phase is random.
            onset = size + (self._role.alerts.raise_within + 1) * hop + int(rng.integers(hop))
            stream.add(rng.choice(self._clean, onset))
            if not stream.detected:
                return self._until_alert(stream, drifted, share, rng)
        raise SetupError(
            f"Each of {MOST_ATTEMPTS} streams of {onset} clean scores raised an alert before any drift; the"
            " clean sample is not like the reference, or the monitor promises too little to measure a delay."
        )

    def _until_alert(
        self, stream: Rehearsal, drifted: FloatArray, share: float, rng: np.random.Generator
    ) -> tuple[int, int] | None:
        size, hop = self._role.windows.size, self._role.windows.hop
        onset, before = stream.events, len(stream.drifted)
        stretch = size
        while stream.events < onset + HORIZON_WINDOWS * size:
            scores = rng.choice(self._clean, stretch)
            chosen = rng.random(stretch) < share
            scores[chosen] = rng.choice(drifted, int(chosen.sum()))
            stream.add(scores)
            if stream.detected:
                return stream.detected[0] + 1 - before, size + stream.detected[0] * hop - onset
            # Most alerts come soon; the rest is cheaper in long stretches.
            stretch = min(2 * stretch, 20 * size)
        return None


def spread_over_references(config: MonitorConfig, reference_size: int) -> str | None:
    """Say how far the rate of one reference may lie from a promise that is kept over all of them.

    Parameters
    ----------
    config
        The monitor.
    reference_size
        Number of scores in the reference.

    Returns
    -------
    str or None
        A sentence; None where the spread is not known, or takes too long to work out.
    """
    test, m = config.test, config.window.size
    if test.name != "ks_2samp" or test.fdr is not None or m > LARGEST_WINDOW_FOR_LUCK:
        return None
    level = threshold_rule(config, reference_size)(m).level
    luck = reference_luck(reference_size, m, level, test.alternative == "two-sided")
    return (
        "With references of this size drawn from one population, the share of windows that drift lies between"
        f" {luck.low:.2%} and {luck.high:.2%} for nine of ten; its mean is {luck.pooled:.2%}."
    )
