"""The engine beside scipy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import stats

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest

SIZES = [(1, 1), (1, 9), (2, 2), (5, 3), (10, 10), (50, 7), (100, 100), (128, 96), (1000, 1), (300, 40)]
SCIPY_NAMES = {"two-sided": "two-sided", "higher": "greater", "lower": "less"}


def samples(kind: str, n: int, m: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n * 1000 + m)
    reference, windows = rng.normal(size=n), rng.normal(0.3, 1.2, size=(k, m))
    if kind == "tied":
        return np.round(reference), np.round(windows)
    if kind == "float32":
        return reference.astype(np.float32), windows.astype(np.float32)
    if kind == "two values":
        return (reference > 0).astype(float), (windows > 0).astype(float)
    return reference, windows


@pytest.mark.parametrize("kind", ["continuous", "tied", "float32", "two values"])
@pytest.mark.parametrize("alternative", ["two-sided", "higher", "lower"])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_equals_scipy_exact(n: int, m: int, alternative: str, kind: str) -> None:
    reference, windows = samples(kind, n, m, k=6)
    result = KolmogorovSmirnovTest(reference, alternative, method="exact").test(windows)
    # Some versions of scipy compute in float32 when given float32.
    reference, windows = reference.astype(np.float64), windows.astype(np.float64)
    for window, statistic, p_value in zip(windows, result.statistic, result.p_value, strict=True):
        wanted = stats.ks_2samp(reference, window, alternative=SCIPY_NAMES[alternative], method="exact")
        assert statistic == pytest.approx(wanted.statistic, rel=1e-15, abs=1e-15)
        assert p_value == pytest.approx(wanted.pvalue, rel=1e-12)


@pytest.mark.parametrize("alternative", ["higher", "lower"])
def test_equals_scipy_one_sided_as_far_as_scipy_is_exact(alternative: str) -> None:
    # scipy's own one-sided count cancels at these sizes; rational arithmetic shows its error, not ours.
    reference, windows = samples("continuous", 1000, 100, k=6)
    result = KolmogorovSmirnovTest(reference, alternative).test(windows)
    wanted = [stats.ks_2samp(reference, w, alternative=SCIPY_NAMES[alternative]).pvalue for w in windows]
    np.testing.assert_allclose(result.p_value, wanted, rtol=4e-12)


@pytest.mark.parametrize(("n", "m"), [(10_000, 100), (2500, 1000), (999, 500)])
def test_equals_scipy_exact_for_large_samples(n: int, m: int) -> None:
    reference, windows = samples("continuous", n, m, k=2)
    windows = windows * 0.9
    result = KolmogorovSmirnovTest(reference).test(windows)
    wanted = [stats.ks_2samp(reference, window) for window in windows]
    np.testing.assert_allclose(result.p_value, [each.pvalue for each in wanted], rtol=1e-12)
    np.testing.assert_allclose(result.statistic, [each.statistic for each in wanted], rtol=1e-15)


@pytest.mark.parametrize("kind", ["continuous", "tied"])
@pytest.mark.parametrize("alternative", ["two-sided", "higher", "lower"])
@pytest.mark.parametrize(("n", "m"), [(30, 20), (1000, 100), (20_000, 300)])
def test_equals_scipy_asymptotic(n: int, m: int, alternative: str, kind: str) -> None:
    reference, windows = samples(kind, n, m, k=4)
    windows = windows * 0.8
    result = KolmogorovSmirnovTest(reference, alternative, method="asymp").test(windows)
    wanted = [
        stats.ks_2samp(reference, window, alternative=SCIPY_NAMES[alternative], method="asymp").pvalue
        for window in windows
    ]
    np.testing.assert_allclose(result.p_value, wanted, rtol=1e-11)


def test_auto_is_exact_up_to_ten_thousand_and_asymptotic_beyond() -> None:
    rng = np.random.default_rng(3)
    windows = rng.normal(size=(1, 40))
    for n, method in ((10_000, "exact"), (10_001, "asymp")):
        reference = rng.normal(size=n)
        automatic = KolmogorovSmirnovTest(reference, method="auto").test(windows).p_value
        np.testing.assert_array_equal(
            automatic, KolmogorovSmirnovTest(reference, method=method).test(windows).p_value
        )
        np.testing.assert_allclose(automatic, stats.ks_2samp(reference, windows[0]).pvalue, rtol=1e-12)


def test_stays_exact_where_scipy_overflows() -> None:
    rng = np.random.default_rng(4)
    reference, windows = rng.normal(size=4000), rng.normal(0.04, size=(1, 900))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = KolmogorovSmirnovTest(reference, "higher", method="exact").test(windows)
    asymptotic = KolmogorovSmirnovTest(reference, "higher", method="asymp").test(windows)
    with pytest.warns(RuntimeWarning, match="Exact calculation unsuccessful"):
        stats.ks_2samp(reference, windows[0], alternative="greater", method="exact")
    assert result.p_value == pytest.approx(asymptotic.p_value, rel=0.01)
    assert result.p_value != asymptotic.p_value


@pytest.mark.parametrize(
    ("name", "shift"), [("higher", 5.0), ("greater", 5.0), ("lower", -5.0), ("less", -5.0)]
)
def test_alternatives_name_where_the_window_scores_went(name: str, shift: float) -> None:
    reference = np.random.default_rng(5).normal(size=200)
    test = KolmogorovSmirnovTest(reference, name)
    result = test.test(np.stack([reference[:50] + shift, reference[:50] - shift]))
    assert result.p_value[0] < 1e-9
    assert result.p_value[1] == 1.0
    assert test.alternative == ("higher" if shift > 0 else "lower")


def test_two_against_two_fully_apart_has_p_one_third() -> None:
    result = KolmogorovSmirnovTest([1.0, 2.0]).test([[3.0, 4.0]])
    assert result.statistic[0] == 1.0
    assert result.p_value[0] == pytest.approx(1 / 3, rel=1e-15)


def test_constant_scores_show_no_drift_or_all_of_it() -> None:
    result = KolmogorovSmirnovTest(np.ones(50)).test([np.ones(20), np.full(20, 2.0)])
    np.testing.assert_array_equal(result.statistic, [0.0, 1.0])
    assert result.p_value[0] == 1.0
    assert result.p_value[1] < 1e-15


def test_window_larger_than_the_reference() -> None:
    rng = np.random.default_rng(6)
    reference, windows = rng.normal(size=12), rng.normal(size=(2, 700))
    result = KolmogorovSmirnovTest(reference).test(windows)
    wanted = [stats.ks_2samp(reference, window).pvalue for window in windows]
    np.testing.assert_allclose(result.p_value, wanted, rtol=1e-12)


def test_no_windows_give_no_verdicts() -> None:
    assert len(KolmogorovSmirnovTest([1.0, 2.0]).test(np.empty((0, 5)))) == 0


def test_the_callers_arrays_are_left_alone() -> None:
    reference, windows = np.array([3.0, 1.0, 2.0]), np.array([[2.0, 1.0]])
    KolmogorovSmirnovTest(reference).test(windows)
    np.testing.assert_array_equal(reference, [3.0, 1.0, 2.0])
    np.testing.assert_array_equal(windows, [[2.0, 1.0]])


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ([], "at least one score"),
        ([[1.0]], r"got shape \(1, 1\)"),
        ([1.0, np.nan, 2.0], "holds 1 NaN among its 3 scores"),
        (["a"], "must hold numbers"),
    ],
)
def test_unusable_references_are_refused(reference: list, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        KolmogorovSmirnovTest(reference)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([1.0, 2.0], r"shape \(k, m\)"),
        (np.empty((3, 0)), r"got shape \(3, 0\)"),
        ([[1.0, 2.0], [1.0]], "rectangular"),
        ([[1.0, 2.0], [np.nan, 1.0]], r"Window 1 holds a NaN score \(1 of 2 windows do\)"),
        ([["1"]], "must hold numbers"),
    ],
)
def test_unusable_windows_are_refused(windows: object, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        KolmogorovSmirnovTest([1.0, 2.0]).test(windows)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="no alternative 'bigger'; choose 'higher'"):
        KolmogorovSmirnovTest([1.0], "bigger")
    with pytest.raises(InvalidArgumentError, match="no method 'fast'"):
        KolmogorovSmirnovTest([1.0], method="fast")
