"""The share of flagged scores: its p-values by counting, and what it passes over."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from detectors.flagged_fraction import FlaggedFractionTest
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest


def test_p_values_follow_from_counting_all_orders() -> None:
    # Of 6 scores any 2 are equally likely to be the window's; the reference's 5 % is its highest score.
    orders = [
        FlaggedFractionTest(np.delete(np.arange(6.0), window), "higher").test([window])
        for window in combinations(range(6), 2)
    ]
    statistics = np.concatenate([order.statistic for order in orders])
    for order in orders:
        assert order.p_value[0] == pytest.approx((statistics >= order.statistic[0]).mean())


@pytest.mark.parametrize("alternative", ["higher", "lower", "two-sided"])
def test_clean_windows_drift_no_more_often_than_promised(alternative: str) -> None:
    rng = np.random.default_rng(1)
    p_values = np.concatenate(
        [
            FlaggedFractionTest(rng.random(400), alternative).test(rng.random((20, 60))).p_value
            for _ in range(300)
        ]
    )
    for level in (0.3, 0.05):
        assert 0.2 * level < (p_values <= level).mean() <= 1.2 * level


def test_lower_mirrors_higher() -> None:
    rng = np.random.default_rng(2)
    reference, windows = rng.normal(size=100), rng.normal(size=(10, 30))
    lower = FlaggedFractionTest(reference, "lower").test(windows)
    mirrored = FlaggedFractionTest(-reference, "greater").test(-windows)
    np.testing.assert_array_equal(lower.p_value, mirrored.p_value)


def test_a_shift_of_ordinary_scores_is_passed_over() -> None:
    rng = np.random.default_rng(3)
    reference, windows = rng.random(1000), 0.4 + 0.5 * rng.random((20, 100))
    assert (KolmogorovSmirnovTest(reference, "higher").test(windows).p_value < 1e-6).all()
    assert (FlaggedFractionTest(reference, "higher").test(windows).p_value == 1.0).all()
    windows[:, ::5] = 1.5
    assert (FlaggedFractionTest(reference, "higher").test(windows).p_value < 1e-3).all()
