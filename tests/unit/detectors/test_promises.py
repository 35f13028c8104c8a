"""What is promised is what is measured, on clean scores drawn afresh."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.boundary_crossing import false_alarm_rates
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest, ks_p_values
from detectors.promises.promises import (
    Threshold,
    expected_run_time_threshold,
    reference_size_warning,
    uniform_of,
)
from detectors.promises.reference_luck import confident_statistic, reference_luck


@pytest.mark.parametrize("alternative", ["higher", "lower", "two-sided"])
@pytest.mark.parametrize(("n", "m"), [(10, 5), (50, 20), (1000, 100), (97, 20)])
def test_the_level_is_met_exactly_over_the_null_law(n: int, m: int, alternative: str) -> None:
    threshold = expected_run_time_threshold(100, n, m, alternative)
    law = ks_null_law(n, m, alternative == "two-sided")
    tail = law.p_values(np.arange(law.lcm + 2))
    share_drifted = threshold.is_drift(tail[:-1], np.zeros(tail.size - 1)) & ~threshold.is_drift(tail[:-1])
    certain = np.append(-np.diff(tail)[threshold.is_drift(tail[:-1])], 0.0).sum()
    boundary = (-np.diff(tail))[share_drifted].sum()
    assert certain <= 0.01
    assert certain + threshold.boundary_share * boundary == pytest.approx(0.01, rel=1e-9)


def test_without_the_random_share_the_rate_stays_below() -> None:
    threshold = expected_run_time_threshold(100, 50, 10)
    p_values = ks_null_law(50, 10, False).p_values(np.arange(51))
    drifted = p_values[threshold.is_drift(p_values)]
    assert drifted.max() <= 0.01


def test_alarms_of_tumbling_windows_come_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    n, m, references, windows = 200, 20, 1500, 100
    threshold = expected_run_time_threshold(50, n, m)
    alarms = np.array(
        [
            threshold.is_drift(
                KolmogorovSmirnovTest(rng.normal(size=n), "higher")
                .test(rng.normal(size=(windows, m)))
                .p_value,
                rng.random(windows),
            ).sum()
            for _ in range(references)
        ]
    )
    rate, error = alarms.mean() / windows, alarms.std() / windows / np.sqrt(references)
    assert rate == pytest.approx(1 / 50, abs=3.5 * error)
    assert error < 0.04 / 50


def test_alarms_of_sliding_windows_come_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    n, m, hop, quiet = 200, 20, 2, 9
    references, windows = 1500, 300
    threshold = expected_run_time_threshold(100, n, m, hop=hop)
    alarms = np.zeros(references)
    for run in range(references):
        scores = rng.normal(size=hop * (windows - 1 + quiet) + m)
        p_values = (
            KolmogorovSmirnovTest(rng.normal(size=n), "higher")
            .test(np.lib.stride_tricks.sliding_window_view(scores, m)[::hop])
            .p_value
        )
        drifted = threshold.is_drift(p_values, rng.random(len(p_values)))
        before = np.lib.stride_tricks.sliding_window_view(drifted, quiet)[:-1].any(axis=1)
        alarms[run] = (drifted[quiet:] & ~before).sum()
    rate, error = alarms.mean() / windows, alarms.std() / windows / np.sqrt(references)
    # The simulated share of new alarms is itself known to 3 %.
    assert rate == pytest.approx(1 / 100, abs=3.5 * error + 0.03 / 100)
    assert error < 0.03 / 100


@pytest.mark.parametrize("alternative", ["higher", "two-sided"])
def test_confidence_is_the_share_of_references_that_keep_the_rate(alternative: str) -> None:
    n, m = 400, 50
    two_sided = alternative == "two-sided"
    statistic = confident_statistic(n, m, 0.01, 0.9, two_sided)
    references = np.sort(np.random.default_rng(2).random((2000, n)), axis=1)
    kept = (false_alarm_rates(references, m, statistic, alternative) <= 0.01).mean()
    assert 0.88 <= kept <= 0.95
    one_less = (false_alarm_rates(references, m, statistic - 8, alternative) <= 0.01).mean()
    assert one_less < kept


def test_confidence_lowers_the_threshold_below_the_pooled_one() -> None:
    pooled = expected_run_time_threshold(100, 400, 50)
    confident = expected_run_time_threshold(100, 400, 50, confidence=0.9)
    assert confident.p_value < pooled.p_value
    assert confident.level < pooled.level
    assert confident.boundary_share == 0.0


def test_the_threshold_fits_the_method_of_the_test() -> None:
    threshold = expected_run_time_threshold(100, 300, 60, method="asymp")
    law = ks_null_law(300, 60, False)
    lattice = np.arange(law.lcm + 1)
    exact = expected_run_time_threshold(100, 300, 60).is_drift(law.p_values(lattice))
    np.testing.assert_array_equal(threshold.is_drift(ks_p_values(lattice, 300, 60, False, "asymp")), exact)


def test_samples_too_small_for_the_promise_alarm_by_the_share_alone() -> None:
    threshold = expected_run_time_threshold(1000, 2, 2)
    assert not threshold.is_drift([1 / 6]).any()
    assert threshold.boundary_share == pytest.approx(6 / 1000)


def test_plain_thresholds_are_strict() -> None:
    threshold = Threshold(p_value=0.05, level=0.05)
    np.testing.assert_array_equal(
        threshold.is_drift([0.049, 0.05, 0.051], [0.0, 0.0, 0.0]), [True, False, False]
    )


def test_uniform_numbers_of_windows_are_uniform_and_repeatable() -> None:
    numbers = np.array([uniform_of(f"monitor/eu/{sequence}") for sequence in range(4000)])
    assert uniform_of("monitor/eu/7") == numbers[7]
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    np.testing.assert_allclose(counts, 400, atol=5 * np.sqrt(400 * 0.9))


def test_small_references_are_warned_of_with_the_size_of_their_luck() -> None:
    message = reference_size_warning(300, 60, 0.01)
    luck = reference_luck(300, 60, 0.01, two_sided=False)
    assert luck.low < luck.pooled < luck.high
    assert message is not None
    assert "holds 300 scores, fewer than 10 windows of 60" in message
    assert f"and {luck.high / luck.pooled:.2g} times the false alarms" in message
    assert reference_size_warning(600, 60, 0.01) is None


def test_the_warning_comes_at_once_for_windows_of_any_size() -> None:
    large = reference_size_warning(60_000, 20_000, 0.01)
    small = reference_size_warning(600, 200, 0.01)
    assert large is not None
    assert small is not None
    assert large.split("between")[1].split("times")[0] == small.split("between")[1].split("times")[0]
    assert "Use at least 200000 scores" in large


def test_luck_depends_on_the_windows_that_a_reference_holds() -> None:
    """What lets large windows be warned of by smaller ones."""
    one, other = (
        reference_luck(600, 200, 0.01, two_sided=False),
        reference_luck(240, 80, 0.01, two_sided=False),
    )
    assert one.high / one.pooled == pytest.approx(other.high / other.pooled, rel=0.2)
    assert one.low / one.pooled == pytest.approx(other.low / other.pooled, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"windows": 1}, "windows is 1; it must be above 1"),
        ({"windows": "often"}, "windows is 'often'"),
        ({"m": 0}, "m is 0"),
        ({"hop": 51}, "hop is 51; it must be at most the window's size, 50"),
        ({"confidence": 1.0}, "confidence is 1; it must lie between 0 and 1"),
        ({"alternative": "up"}, "no alternative 'up'"),
        ({"method": "fast"}, "no method 'fast'"),
        ({"quiet_windows": -1}, "quiet_windows is -1"),
        ({"m": 900, "hop": 300}, "larger than its reference"),
        ({"windows": 5, "hop": 5}, "cannot come as often as once in 5 windows if none of the 9"),
    ],
)
def test_promises_that_cannot_be_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        expected_run_time_threshold(**{"windows": 100, "n": 500, "m": 50, **arguments})
