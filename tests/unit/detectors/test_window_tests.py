"""What holds for every window test, and the scipy functions behind those that are not our own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from detectors.errors import InvalidArgumentError
from detectors.window_tests import WINDOW_TESTS, window_test

DIRECTED = ("ks_2samp", "mannwhitneyu")
UNDIRECTED = ("cramervonmises_2samp", "anderson_ksamp")


@pytest.mark.parametrize("name", WINDOW_TESTS)
class TestEveryWindowTest:
    """Checks that no test is exempt from."""

    def test_tells_drifted_windows_from_others(self, name: str) -> None:
        rng = np.random.default_rng(0)
        test = window_test(name, rng.normal(size=500))
        result = test.test(np.concatenate([rng.normal(size=(20, 60)), rng.normal(2.0, size=(20, 60))]))
        assert result.statistic.dtype == result.p_value.dtype == np.float64
        assert np.median(result.p_value[:20]) > 0.1
        assert (result.p_value[20:] <= 0.001).all()

    def test_a_nan_is_an_error_and_not_a_verdict(self, name: str) -> None:
        windows = np.ones((3, 10))
        windows[1, 4] = np.nan
        with pytest.raises(InvalidArgumentError, match="Window 1 holds a NaN"):
            window_test(name, np.arange(20.0)).test(windows)
        with pytest.raises(InvalidArgumentError, match="reference holds 1 NaN"):
            window_test(name, [1.0, 2.0, np.nan])

    def test_equal_scores_everywhere_are_no_drift(self, name: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = window_test(name, np.ones(30)).test(np.ones((2, 25)))
        assert (result.p_value > 0.2).all()

    def test_windows_larger_than_the_reference(self, name: str) -> None:
        rng = np.random.default_rng(2)
        result = window_test(name, rng.normal(size=15)).test(rng.normal(3.0, size=(1, 4000)))
        assert result.p_value[0] <= 0.001

    def test_two_against_two(self, name: str) -> None:
        result = window_test(name, [1.0, 2.0]).test([[3.0, 4.0]])
        assert 0.05 < result.p_value[0] <= 1.0

    def test_reference_is_kept_sorted_and_read_only(self, name: str) -> None:
        test = window_test(name, [3.0, 1.0, 2.0])
        np.testing.assert_array_equal(test.reference, [1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match="read-only"):
            test.reference[0] = 5.0
        assert (test.name, test.alternative) == (name, "two-sided")


@pytest.mark.parametrize("name", [*DIRECTED, *UNDIRECTED, "rank_cusum"])
def test_two_distinct_values_are_enough_for_tests_of_whole_windows(name: str) -> None:
    rng = np.random.default_rng(1)
    reference = (rng.random(400) < 0.5).astype(float)
    result = window_test(name, reference).test(np.stack([reference[:100], np.ones(100)]))
    assert result.p_value[0] > 0.2
    assert result.p_value[1] <= 0.001


@pytest.mark.parametrize("name", DIRECTED + UNDIRECTED)
def test_window_order_does_not_matter_to_tests_of_whole_windows(name: str) -> None:
    rng = np.random.default_rng(3)
    test, window = window_test(name, rng.normal(size=50)), rng.normal(size=30)
    result = test.test(np.stack([window, window[::-1]]))
    assert result.p_value[0] == result.p_value[1]


@pytest.mark.parametrize("name", DIRECTED)
def test_higher_finds_windows_with_larger_scores(name: str) -> None:
    reference = np.random.default_rng(4).normal(size=100)
    windows = np.stack([reference[:40] + 4.0, reference[:40] - 4.0])
    assert window_test(name, reference, "higher").test(windows).p_value.round(3).tolist() == [0.0, 1.0]
    assert window_test(name, reference, "lower").test(windows).p_value.round(3).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("name", DIRECTED)
@pytest.mark.parametrize("scipy_name", ["greater", "less", "two-sided"])
def test_scipys_names_mean_what_scipy_means(name: str, scipy_name: str) -> None:
    rng = np.random.default_rng(5)
    reference, window = rng.normal(size=80), rng.normal(0.4, size=40)
    ours = window_test(name, reference, scipy_name).test(window[None]).p_value[0]
    theirs = getattr(stats, name)(reference, window, alternative=scipy_name).pvalue
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("name", UNDIRECTED)
def test_tests_without_direction_refuse_one(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"{name} has no direction.*mannwhitneyu can"):
        window_test(name, [1.0, 2.0], "higher")


@pytest.mark.parametrize("name", UNDIRECTED)
def test_tests_that_need_two_scores_say_so(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2 scores in the reference"):
        window_test(name, [1.0])
    with pytest.raises(InvalidArgumentError, match="at least 2 scores in the window"):
        window_test(name, [1.0, 2.0]).test([[1.0]])


@pytest.mark.parametrize(("n", "m"), [(2, 2), (15, 20), (21, 5), (80, 40), (1000, 100)])
@pytest.mark.parametrize("shift", [0.0, 0.4, 1.0])
def test_undirected_tests_equal_scipys(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(6)
    reference, windows = rng.normal(size=n), rng.normal(shift, size=(3, m))
    cramer = window_test("cramervonmises_2samp", reference).test(windows)
    anderson = window_test("anderson_ksamp", reference).test(windows)
    for row, window in enumerate(windows):
        wanted = stats.cramervonmises_2samp(reference, window)
        assert cramer.statistic[row] == pytest.approx(wanted.statistic, rel=1e-9)
        # scipy ends the series of the limit law sooner.
        assert cramer.p_value[row] == pytest.approx(wanted.pvalue, rel=1e-6, abs=1e-9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert anderson.p_value[row] == stats.anderson_ksamp([reference, window]).pvalue


def test_unknown_test_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError, match="no window test 'ks'; choose one of ks_2samp, cramer"):
        window_test("ks", [1.0])
