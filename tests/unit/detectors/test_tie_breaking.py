"""Tied scores, put into random order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
from detectors.promises.tie_breaking import TieBreaker, uniforms_of


def test_scores_that_differ_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    reference, windows = rng.normal(size=50).round(1), rng.normal(size=(4, 30)).round(1)
    breaker = TieBreaker(reference)
    untied = breaker.windows(windows, rng.random(windows.shape))
    assert (np.diff(breaker.reference) > 0).all()
    for score, number in zip(windows.ravel(), untied.ravel(), strict=True):
        below, not_above = (reference < score).sum(), (reference <= score).sum()
        assert below <= np.searchsorted(breaker.reference, number) <= not_above


def test_without_ties_nothing_changes() -> None:
    rng = np.random.default_rng(1)
    reference, windows = rng.normal(size=80), rng.normal(size=(5, 20))
    breaker = TieBreaker(reference)
    np.testing.assert_array_equal(
        KolmogorovSmirnovTest(breaker.reference)
        .test(breaker.windows(windows, rng.random(windows.shape)))
        .p_value,
        KolmogorovSmirnovTest(reference).test(windows).p_value,
    )


def test_false_alarms_among_tied_scores_come_back_to_the_level() -> None:
    rng = np.random.default_rng(2)
    tied, untied = [], []
    for _ in range(1500):
        reference, windows = rng.poisson(0.7, size=100), rng.poisson(0.7, size=(4, 20))
        breaker = TieBreaker(reference)
        keys = breaker.windows(windows, rng.random(windows.shape))
        tied.extend(KolmogorovSmirnovTest(reference, "higher").test(windows).p_value < 0.2)
        untied.extend(KolmogorovSmirnovTest(breaker.reference, "higher").test(keys).p_value < 0.2)
    attainable = kstest_level(100, 20)
    assert np.mean(tied) < 0.6 * attainable
    # Windows of one reference are not independent; the error allows for it.
    assert np.mean(untied) == pytest.approx(attainable, abs=0.03)


def kstest_level(n: int, m: int) -> float:
    """Share of continuous windows with a p-value below 0.2, from a simulation of its own."""
    rng = np.random.default_rng(3)
    test_p = [
        KolmogorovSmirnovTest(rng.random(n), "higher").test(rng.random((4, m))).p_value for _ in range(1500)
    ]
    assert kstest(np.concatenate(test_p), "uniform").statistic < 0.2
    return float((np.concatenate(test_p) < 0.2).mean())


def test_a_nan_stays_one_and_shapes_must_agree() -> None:
    breaker = TieBreaker([1.0, 2.0])
    assert np.isnan(breaker.windows([[np.nan, 1.0]], [[0.5, 0.5]])[0, 0])
    with pytest.raises(InvalidArgumentError, match="one uniform number a score"):
        breaker.windows([[1.0, 2.0]], [[0.5]])


def test_numbers_of_a_name_are_uniform_and_its_own() -> None:
    numbers = uniforms_of("monitor/eu/7", 10_000)
    assert kstest(numbers, "uniform").pvalue > 0.01
    np.testing.assert_array_equal(numbers, uniforms_of("monitor/eu/7", 10_000))
    assert abs(np.corrcoef(numbers, uniforms_of("monitor/eu/8", 10_000))[0, 1]) < 0.05
    np.testing.assert_array_equal(uniforms_of("monitor/eu/7", 50, start=9000), numbers[9000:9050])


def test_numbers_of_a_name_are_the_same_in_every_release() -> None:
    """Workers of different versions must judge a window alike."""
    np.testing.assert_allclose(
        uniforms_of("a", 3), [0.16299146751393456, 0.0262746185441195, 0.580484181046245], rtol=0
    )


def test_the_order_of_a_reference_is_its_own_whoever_draws_it() -> None:
    """One order for all would give all references the luck of that order."""
    zeros = np.zeros(60)
    one, same, other = (
        TieBreaker(np.concatenate([zeros, rest])).reference
        for rest in ([1.0, 2.0], np.array([2.0, 1.0], np.float32), [1.0, 3.0])
    )
    np.testing.assert_array_equal(one, same)
    assert (one[:60] != other[:60]).all()
