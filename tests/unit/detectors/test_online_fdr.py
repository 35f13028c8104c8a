"""SAFFRON and ADDIS as state machines."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from detectors.errors import InvalidArgumentError
from detectors.promises.online_fdr import SCALE_WEIGHTS, TIME_SCALES, FdrState, OnlineFdr


def spending(j: int) -> float:
    """The spending sequence, term by term."""
    return sum(w / s * (1 - 1 / s) ** (j - 1) for w, s in zip(SCALE_WEIGHTS, TIME_SCALES, strict=True))


def direct_thresholds(procedure: OnlineFdr, p_values: list[float]) -> list[float]:
    """The formula of the papers, with all discovery times remembered."""
    q, candidate, discard = procedure.q, procedure.candidate, procedure.discard
    thresholds: list[float] = []
    discoveries: list[int] = []
    clock = [candidate < p <= discard for p in p_values]
    for t in range(len(p_values)):
        level = q / 2 * spending(1 + sum(clock[:t]))
        for order, since in enumerate(discoveries):
            level += (q if order else q / 2) * spending(1 + sum(clock[since + 1 : t]))
        thresholds.append(min(candidate, (discard - candidate) * level))
        if p_values[t] <= thresholds[-1]:
            discoveries.append(t)
    return thresholds


@pytest.mark.parametrize("procedure", [OnlineFdr(0.1), OnlineFdr(0.2, candidate=0.25, discard=0.5)])
def test_constant_state_gives_the_thresholds_of_the_papers(procedure: OnlineFdr) -> None:
    rng = np.random.default_rng(0)
    p_values = np.where(rng.random(120) < 0.2, rng.random(120) * 1e-4, rng.random(120)).tolist()
    state, thresholds = procedure.start(), []
    for p_value in p_values:
        state, threshold = procedure.step(state, p_value)
        thresholds.append(threshold)
    np.testing.assert_allclose(thresholds, direct_thresholds(procedure, p_values), rtol=1e-10)
    assert state.tests == 120
    assert state.discoveries > 5


def test_spending_sequence_falls_and_sums_to_one() -> None:
    terms = np.array([spending(j) for j in range(1, 3000)])
    assert (np.diff(terms) < 0).all()
    assert sum(SCALE_WEIGHTS) == pytest.approx(1.0)
    slope = np.log(terms[999] / terms[99]) / np.log(10)
    assert slope == pytest.approx(-1.6, abs=0.05)


def test_false_discovery_rate_is_kept_over_a_thousand_segments() -> None:
    rng = np.random.default_rng(1)
    procedure, repetitions, segments = OnlineFdr(0.05), 60, 1000
    false_share, power, bonferroni_power = [], [], []
    for _ in range(repetitions):
        drifts = rng.random(segments) < 0.05
        p_values = norm.sf(rng.normal(size=segments) + 3.5 * drifts)
        state, found = procedure.start(), np.zeros(segments, dtype=bool)
        for place, p_value in enumerate(p_values):
            state, threshold = procedure.step(state, p_value)
            found[place] = p_value <= threshold
        false_share.append((found & ~drifts).sum() / max(found.sum(), 1))
        power.append(found[drifts].mean())
        bonferroni_power.append((p_values < 0.05 / segments)[drifts].mean())
    assert np.mean(false_share) <= 0.05
    assert np.mean(power) > np.mean(bonferroni_power)


def test_state_survives_storage() -> None:
    procedure = OnlineFdr(0.05)
    state = procedure.start()
    for p_value in (0.9, 1e-9, 0.6):
        state, _ = procedure.step(state, p_value)
    numbers = state.to_tuple()
    assert len(numbers) == 23
    assert FdrState.from_tuple(numbers) == state
    with pytest.raises(InvalidArgumentError, match="has 23 numbers, not 2"):
        FdrState.from_tuple((1.0, 2.0))


@pytest.mark.parametrize("p_value", [float("nan"), -0.1, 1.1])
def test_what_is_no_p_value_is_refused(p_value: float) -> None:
    procedure = OnlineFdr(0.05)
    with pytest.raises(InvalidArgumentError, match="p_value is"):
        procedure.step(procedure.start(), p_value)


@pytest.mark.parametrize("arguments", [{"q": 0.0}, {"q": 1.0}, {"q": 0.1, "candidate": 0.5, "discard": 0.5}])
def test_wrong_parameters_are_refused(arguments: dict) -> None:
    with pytest.raises(InvalidArgumentError, match=r"q is|candidate is"):
        OnlineFdr(**arguments)
