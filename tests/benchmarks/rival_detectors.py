"""Drift detectors of river and frouros behind one interface; they come with the extra ``benchmark``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from frouros.detectors.concept_drift import KSWIN as FrourosKSWIN
from frouros.detectors.concept_drift import KSWINConfig
from frouros.detectors.data_drift import IncrementalKSTest
from river.drift import ADWIN, KSWIN, PageHinkley


class Online(Protocol):
    """A detector that takes one score at a time and begins anew after an alarm."""

    def update(self, score: float) -> bool:
        """Take in a score; whether it raises an alarm."""
        ...


@dataclass(frozen=True)
class Rival:
    """A detector with its parameters.

    Attributes
    ----------
    name
        Library, class and what is not a default.
    sensitivity
        The parameter that decides how often it alarms.
    make
        Makes it from the reference, the sensitivity and a seed.
    memory
        Latest scores on which its state depends; None if it learns from all.
    slow
        Whether a score takes it more than 20 microseconds.
    bounds
        Least and most sensitive parameter among which ``--calibrate`` searches.
    """

    name: str
    sensitivity: float
    make: Callable[[np.ndarray, float, int], Online]
    memory: int | None = None
    slow: bool = False
    bounds: tuple[float, float] | None = None

    def start(self, reference: np.ndarray, seed: int) -> Online:
        """Return it ready for the first score after the reference."""
        return self.make(reference, self.sensitivity, seed)

    def at(self, sensitivity: float) -> Rival:
        """Return it with another sensitivity."""
        return replace(self, sensitivity=sensitivity)


class _River:
    """A detector of river; it resets itself after an alarm."""

    def __init__(self, detector: Any, past: np.ndarray) -> None:
        self.detector = detector
        for score in past.tolist():
            detector.update(score)

    def update(self, score: float) -> bool:
        self.detector.update(score)
        return bool(self.detector.drift_detected)


class _FrourosKSWIN:
    def __init__(self, **settings: Any) -> None:
        self.detector = FrourosKSWIN(config=KSWINConfig(**settings))

    def update(self, score: float) -> bool:
        self.detector.update(value=score)
        if not self.detector.drift:
            return False
        self.detector.reset()
        return True


class _Incremental:
    def __init__(self, reference: np.ndarray, window: int, alpha: float) -> None:
        self.reference, self.window, self.alpha = reference, window, alpha
        self._renew()

    def _renew(self) -> None:
        self.detector = IncrementalKSTest(window_size=self.window)
        self.detector.fit(X=self.reference)

    def update(self, score: float) -> bool:
        result, _ = self.detector.update(value=score)
        if result is None or not result.p_value < self.alpha:
            return False
        self._renew()
        return True


def _river_kswin(window: int, latest: int, alpha: float) -> Rival:
    return Rival(
        f"river KSWIN, {latest} of {window}",
        alpha,
        lambda _, a, seed: _River(KSWIN(a, window_size=window, stat_size=latest, seed=seed), np.empty(0)),
        memory=window,
        slow=True,
    )


def _frouros_kswin(window: int, latest: int, alpha: float) -> Rival:
    return Rival(
        f"frouros KSWIN, {latest} of {window}",
        alpha,
        lambda _, a, seed: _FrourosKSWIN(
            alpha=a, seed=seed, min_num_instances=window, num_test_instances=latest
        ),
        memory=window,
        slow=True,
    )


def _incremental(window: int, alpha: float) -> Rival:
    return Rival(
        f"frouros IncrementalKSTest {window}",
        alpha,
        lambda reference, a, _: _Incremental(reference, window, a),
        memory=window,
        slow=True,
    )


def _adwin(clock: int, delta: float) -> Rival:
    return Rival(
        f"river ADWIN, clock {clock}",
        delta,
        lambda reference, d, _: _River(ADWIN(delta=d, clock=clock), reference),
        slow=clock < 8,
        bounds=(1e-5, 0.999),
    )


def _page_hinkley(delta: float, threshold: float) -> Rival:
    return Rival(
        f"river PageHinkley, delta {delta:g}",
        threshold,
        lambda reference, t, _: _River(
            PageHinkley(delta=delta, threshold=t, alpha=1.0, mode="up"), reference
        ),
        bounds=(300.0, 3.0),
    )


RIVALS = (
    # Their p-values take few values: of the two alphas about the wanted level, the one that alarms sooner.
    _river_kswin(100, 30, 5e-4),
    _river_kswin(300, 100, 5.5e-4),
    _frouros_kswin(100, 30, 5e-4),
    _frouros_kswin(300, 100, 5.5e-4),
    # The exact promise of detectors.promises.promises for hop 1, two-sided.
    _incremental(50, 5.6e-4),
    _incremental(100, 1.13e-3),
    _incremental(200, 2.3e-3),
    # From --calibrate.
    _adwin(32, 0.134),
    _adwin(1, 0.045),
    _page_hinkley(0.005, 92.4),
    _page_hinkley(0.1, 30.3),
    _page_hinkley(0.25, 18.0),
    _page_hinkley(0.5, 12.3),
    _page_hinkley(1.0, 8.6),
)
"""Sensitivities are for one false alarm in 10,000 clean CIFAR-10 scores after a reference of 4,000."""
