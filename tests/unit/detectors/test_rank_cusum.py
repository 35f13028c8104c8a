"""The CUSUM on ranks: its statistic by hand, its law by plain simulation, and what it is for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.cusum.rank_bets import DRIFTED_SHARES, TAIL_EXPONENT
from detectors.cusum.rank_cusum import RankCusumTest
from detectors.cusum.rank_cusum_null import law_size, rank_cusum_law
from detectors.cusum.rank_cusum_promise import rank_cusum_threshold
from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest


def by_hand(reference: list[float], window: list[float]) -> float:
    """The statistic as its docstring defines it, one bet, one start and one score at a time."""
    n, best = len(reference), -math.inf
    for share in DRIFTED_SHARES:
        for start in range(len(window)):
            won = 0.0
            for score in window[start:]:
                above = sum(r > score for r in reference)
                tied = sum(r == score for r in reference)
                places = [(above + i + 0.5) / (n + 1) for i in range(tied + 1)]
                factors = [1 + share * (TAIL_EXPONENT * p ** (TAIL_EXPONENT - 1) - 1) for p in places]
                won += math.log(sum(factors) / len(factors))
            best = max(best, won)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_statistic_is_what_the_best_bet_wins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference, window = rng.integers(0, 12, 20).tolist(), rng.integers(0, 14, 9).tolist()
    found = RankCusumTest(reference, "higher").test([window]).statistic[0]
    assert found == pytest.approx(by_hand(reference, window), rel=1e-12)


def test_lower_mirrors_higher_and_two_sided_is_the_larger_of_both() -> None:
    rng = np.random.default_rng(5)
    reference, windows = rng.normal(size=50), rng.normal(size=(6, 20))
    higher = RankCusumTest(reference, "higher").test(windows).statistic
    lower = RankCusumTest(reference, "lower").test(windows).statistic
    np.testing.assert_allclose(RankCusumTest(-reference, "greater").test(-windows).statistic, lower)
    np.testing.assert_allclose(
        RankCusumTest(reference, "two-sided").test(windows).statistic, np.maximum(higher, lower)
    )


def test_overlapping_windows_have_the_statistics_that_they_have_alone() -> None:
    rng = np.random.default_rng(6)
    test, stream = RankCusumTest(rng.random(30), "higher"), rng.random((2, 40))
    for m in (1, 7, 8, 40):
        windows = np.lib.stride_tricks.sliding_window_view(stream, m, axis=1)
        alone = test.test(windows.reshape(-1, m)).statistic.reshape(2, -1)
        np.testing.assert_allclose(test.statistics(stream, m), alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "m", "alternative"), [(1000, 100, "higher"), (50, 80, "two-sided")])
def test_p_values_are_probabilities_of_plainly_simulated_windows(n: int, m: int, alternative: str) -> None:
    rng = np.random.default_rng(7)
    p_values = np.concatenate(
        [RankCusumTest(rng.random(n), alternative).test(rng.random((25, m))).p_value for _ in range(800)]
    )
    for level in (0.5, 0.1, 0.01):
        # Windows of one reference are not independent, hence four times the binomial error.
        allowed = 0.1 * level + 4 * math.sqrt(level / p_values.size)
        assert (p_values <= level).mean() == pytest.approx(level, abs=allowed)


def test_small_p_values_follow_from_counting() -> None:
    # Both scores exceed both of the reference in one of six orders of four scores.
    assert RankCusumTest([1.0, 2.0], "higher").test([[3.0, 4.0]]).p_value[0] == pytest.approx(1 / 6, rel=0.1)


@pytest.mark.parametrize(("n", "m", "hop", "run_time"), [(500, 50, 50, 50), (500, 100, 10, 200)])
def test_one_alarm_begins_in_as_many_windows_as_promised(n: int, m: int, hop: int, run_time: int) -> None:
    threshold = rank_cusum_threshold(run_time, n, m, hop=hop)
    rng = np.random.default_rng(8)
    alarms = windows = 0
    for _ in range(400):
        test = RankCusumTest(rng.random(n), "higher")
        law = rank_cusum_law(n, law_size(m), two_sided=False)
        p_values = law.p_values(test.statistics(rng.random((1, 100 * m)), m)[0, ::hop])
        drifted = np.flatnonzero(threshold.is_drift(p_values))
        alarms += int((np.diff(drifted, prepend=-m) * hop >= m).sum())
        windows += p_values.size
    assert alarms / windows * run_time == pytest.approx(1.0, abs=0.2)


def test_drift_at_the_end_of_a_window_is_found_where_ks_sees_none() -> None:
    rng = np.random.default_rng(9)
    reference, windows = rng.random(1000), rng.random((50, 400))
    windows[:, -6:] = 0.98 + 0.1 * rng.random((50, 6))
    assert (RankCusumTest(reference, "higher").test(windows).p_value < 1e-4).all()
    assert (KolmogorovSmirnovTest(reference, "higher").test(windows).p_value > 1e-3).all()


def test_tied_scores_raise_no_more_alarms_than_others() -> None:
    rng = np.random.default_rng(10)
    p_values = [
        RankCusumTest(rng.integers(0, 3, 300), "higher").test(rng.integers(0, 3, (20, 60))).p_value
        for _ in range(300)
    ]
    assert (np.concatenate(p_values) <= 0.05).mean() <= 0.055


def test_a_law_serves_sizes_up_to_an_eighth_smaller() -> None:
    assert [law_size(m) for m in (1, 7, 16, 17, 100, 101, 400, 1000)] == [1, 7, 16, 18, 104, 104, 416, 1024]
    assert all(m <= law_size(m) <= 1.125 * m for m in range(1, 5000))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"windows": 1.0, "n": 100, "m": 10}, "above 1"),
        ({"windows": 100.0, "n": 100, "m": 10, "hop": 11}, "at most the window's size"),
        ({"windows": 20.0, "n": 500, "m": 100, "hop": 2}, "promise a longer run-time"),
    ],
)
def test_impossible_promises_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        rank_cusum_threshold(**arguments)
