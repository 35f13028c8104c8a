"""False-alarm rates of given references, against simulation and the null law."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.kolmogorov_smirnov.boundary_crossing import false_alarm_rates
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import ks_lattice_statistic


@pytest.mark.parametrize("alternative", ["higher", "lower", "two-sided"])
@pytest.mark.parametrize(("n", "m"), [(20, 10), (40, 40), (30, 7), (7, 30)])
def test_rate_of_a_reference_is_what_its_windows_show(n: int, m: int, alternative: str) -> None:
    rng = np.random.default_rng(n + m)
    references = np.sort(rng.random((3, n)), axis=1)
    statistic = ks_null_law(n, m, alternative == "two-sided").critical_value(0.15)
    rates = false_alarm_rates(references, m, statistic, alternative)
    windows = np.sort(rng.random((40_000, m)), axis=1)
    for reference, rate in zip(references, rates, strict=True):
        seen = (ks_lattice_statistic(reference, windows, alternative) >= statistic).mean()
        assert seen == pytest.approx(rate, abs=5 * np.sqrt(rate * (1 - rate) / len(windows)) + 1e-4)


@pytest.mark.parametrize(("n", "m", "alternative"), [(400, 30, "higher"), (400, 30, "two-sided")])
def test_rates_average_to_the_p_value(n: int, m: int, alternative: str) -> None:
    law = ks_null_law(n, m, alternative == "two-sided")
    statistic = law.critical_value(0.01)
    references = np.sort(np.random.default_rng(1).random((3000, n)), axis=1)
    rates = false_alarm_rates(references, m, statistic, alternative)
    error = 5 * rates.std() / np.sqrt(len(rates))
    assert rates.mean() == pytest.approx(float(law.p_values(statistic)), abs=error)


def test_a_reference_that_misses_the_population_always_alarms() -> None:
    references = np.sort(np.random.default_rng(2).random((1, 50)), axis=1) * 0.1
    assert false_alarm_rates(references, 2000, 25 * 40, "higher")[0] == pytest.approx(1.0)


def test_one_score_each_is_worked_by_hand() -> None:
    # The window alarms when its only score lies above the reference's only score.
    np.testing.assert_allclose(
        false_alarm_rates(np.array([[0.3], [0.9]]), 1, 1, "higher"), [0.7, 0.1], rtol=1e-12
    )
    np.testing.assert_allclose(false_alarm_rates(np.array([[0.3]]), 1, 1, "lower"), [0.3], rtol=1e-12)
    np.testing.assert_allclose(false_alarm_rates(np.array([[0.3]]), 1, 1, "two-sided"), [1.0])
