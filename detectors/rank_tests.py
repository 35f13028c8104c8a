"""Window tests other than Kolmogorov-Smirnov, computed by scipy behind the same interface."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from detectors.errors import InvalidArgumentError
from detectors.promises.window_samples import (
    Alternative,
    WindowTestResult,
    parse_alternative,
    sorted_reference,
    sorted_windows,
)

SCORES_AT_A_TIME = 1_000_000
"""Scores of windows and of the reference that are ranked together, so that many windows fit the memory."""

LARGEST_EXACT_CRAMER_VON_MISES = 20
"""Sample size up to which the exact law of the Cramér-von Mises statistic is used; the same as in scipy."""


class MannWhitneyTest:
    """Mann-Whitney U test: whether window scores tend to be larger (or smaller) than reference scores.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,).
    alternative
        ``higher``, ``lower`` or ``two-sided``. scipy's names mean what they mean in
        ``mannwhitneyu(reference, window)``, where they speak of values: ``less`` is ``higher``.

    Notes
    -----
    ``U`` is the number of pairs in which the reference score is larger, ties counted half. The p-value is
    exact if a sample has at most 8 scores and there are no ties, else a normal approximation with tie and
    continuity correction.

    References
    ----------
    H. B. Mann, D. R. Whitney (1947), "On a test of whether one of two random variables is stochastically
    larger than the other", Annals of Mathematical Statistics 18, 50-60.
    """

    name = "mannwhitneyu"

    def __init__(self, reference: npt.ArrayLike, alternative: str = "two-sided") -> None:
        self.alternative: Alternative = parse_alternative(alternative, scipy_greater="lower")
        self.reference: npt.NDArray[np.float64] = sorted_reference(reference)

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m); raises ``InvalidArgumentError`` on a NaN."""
        scores = sorted_windows(windows)
        scipy_name = {"higher": "less", "lower": "greater", "two-sided": "two-sided"}[self.alternative]
        statistic, p_value = np.zeros(len(scores)), np.zeros(len(scores))
        for rows in _runs(scores, len(self.reference)):
            reference = np.broadcast_to(self.reference, (len(scores[rows]), len(self.reference)))
            found = stats.mannwhitneyu(reference, scores[rows], alternative=scipy_name, axis=1)
            # Where all pooled scores are equal U has no variance; some versions of scipy then return NaN.
            statistic[rows], p_value[rows] = (
                found.statistic,
                np.where(np.isnan(found.pvalue), 1.0, found.pvalue),
            )
        return WindowTestResult(statistic=statistic, p_value=p_value)


class CramerVonMisesTest:
    """Two-sample Cramér-von Mises test; two-sided only.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,).
    alternative
        ``two-sided``: the squared differences that are summed have no direction.

    Notes
    -----
    ``T = n m / (n + m)^2 * sum (F(z) - G(z))^2`` over the pooled scores z, with F and G the empirical
    distribution functions of reference and window. The p-value is exact if no sample has more than 20 scores
    and none are tied, else that of the limit law at the standardised statistic. Statistic and p-value equal
    those of scipy's function unless scores are tied: there scipy's shortcut through average ranks gives tiny
    p-values to equal samples, the sum above does not.

    References
    ----------
    T. W. Anderson (1962), "On the distribution of the two-sample Cramér-von Mises criterion", Annals of
    Mathematical Statistics 33, 1148-1159.
    """

    name = "cramervonmises_2samp"

    def __init__(self, reference: npt.ArrayLike, alternative: str = "two-sided") -> None:
        self.alternative: Alternative = _two_sided_only(self.name, alternative)
        self.reference: npt.NDArray[np.float64] = sorted_reference(reference)
        _need_two(self.name, "reference", self.reference.size)

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m), m at least 2; ``InvalidArgumentError`` on a NaN."""
        scores = sorted_windows(windows)
        _need_two(self.name, "window", scores.shape[1])
        statistic = np.zeros(len(scores))
        for rows in _runs(scores, len(self.reference)):
            statistic[rows] = self._statistic(scores[rows])
        p_value = _cramer_von_mises_sf(statistic, len(self.reference), scores.shape[1])
        if max(len(self.reference), scores.shape[1]) <= LARGEST_EXACT_CRAMER_VON_MISES:
            for row, window in enumerate(scores):
                pooled = np.concatenate([self.reference, window])
                if np.unique(pooled).size == pooled.size:
                    exact = stats.cramervonmises_2samp(self.reference, window, method="exact")
                    p_value[row] = exact.pvalue
        return WindowTestResult(statistic=statistic, p_value=p_value)

    def _statistic(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """T of each sorted window, shape (k,)."""
        reference = self.reference
        n, (k, m) = len(reference), scores.shape
        flat = scores.ravel()
        # A window score counts at every reference score that is not below it.
        first = np.searchsorted(reference, flat, side="left") + np.repeat(np.arange(k) * (n + 1), m)
        arrivals = np.bincount(first, minlength=k * (n + 1)).reshape(k, n + 1)
        window_at_reference = np.cumsum(arrivals[:, :n], axis=1) / m
        reference_at_reference = np.searchsorted(reference, reference, side="right") / n
        reference_at_window = np.searchsorted(reference, flat, side="right").reshape(k, m) / n
        run_ends = np.where(np.diff(scores, axis=1, append=np.inf) > 0, np.arange(1, m + 1), m)
        window_at_window = np.minimum.accumulate(run_ends[:, ::-1], axis=1)[:, ::-1] / m
        total = ((window_at_reference - reference_at_reference) ** 2).sum(axis=1)
        total = total + ((window_at_window - reference_at_window) ** 2).sum(axis=1)
        return np.asarray(total * (n * m / (n + m) ** 2), dtype=np.float64)


class AndersonDarlingTest:
    """Two-sample Anderson-Darling test, which weighs the tails more; two-sided only.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,).
    alternative
        ``two-sided``: the squared differences that are summed have no direction.

    Notes
    -----
    ``A^2 = (N - 1) / N * n m / N^2 * sum (F(z) - G(z))^2 / (H(z) (1 - H(z)) - l(z) / (4 N))`` over the pooled
    scores z, where N is n + m, l(z) scores are equal to z, and F, G and H are the empirical distribution
    functions of reference, window and both, halfway up their steps. The statistic is ``A^2`` standardised by
    its mean and deviation when nothing has drifted.

    P-values are interpolated in a table that ends at 0.001 and 0.25 and are cut off there, so that a
    threshold below 0.001 never detects anything. Windows in which all pooled scores are equal get p = 0.25.

    References
    ----------
    F. W. Scholz, M. A. Stephens (1987), "K-sample Anderson-Darling tests", Journal of the American
    Statistical Association 82, 918-924.
    """

    name = "anderson_ksamp"

    def __init__(self, reference: npt.ArrayLike, alternative: str = "two-sided") -> None:
        self.alternative: Alternative = _two_sided_only(self.name, alternative)
        self.reference: npt.NDArray[np.float64] = sorted_reference(reference)
        _need_two(self.name, "reference", self.reference.size)

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m), m at least 2; ``InvalidArgumentError`` on a NaN."""
        scores = sorted_windows(windows)
        _need_two(self.name, "window", scores.shape[1])
        statistic, p_value = np.zeros(len(scores)), np.full(len(scores), 0.25)
        lowest, highest = self.reference[0], self.reference[-1]
        for row, window in enumerate(scores):
            if min(lowest, window[0]) == max(highest, window[-1]):
                continue
            with warnings.catch_warnings():
                # scipy warns whenever a p-value meets the ends of the table, and of changes to its keywords.
                warnings.simplefilter("ignore")
                found = stats.anderson_ksamp([self.reference, window])
            statistic[row], p_value[row] = found.statistic, found.pvalue
        return WindowTestResult(statistic=statistic, p_value=p_value)


def _runs(scores: npt.NDArray[np.float64], n: int) -> Iterator[slice]:
    """Cut windows, shape (k, m), into runs that are ranked together, with n reference scores each."""
    k, m = scores.shape
    length = max(SCORES_AT_A_TIME // (n + m), 1)
    yield from (slice(start, start + length) for start in range(0, k, length))


def _cramer_von_mises_sf(statistic: npt.NDArray[np.float64], n: int, m: int) -> npt.NDArray[np.float64]:
    """P-values from the limit law at the statistic standardised by its mean and variance (Anderson 1962).

    The limit law is the Bessel series of T. W. Anderson and D. A. Darling (1952), formula 4.35.
    """
    pooled = n + m
    mean = (1.0 + 1.0 / pooled) / 6.0
    variance = (
        (pooled + 1) * (4 * n * m * pooled - 3 * (n * n + m * m) - 2 * n * m) / (180.0 * n * m * pooled**2)
    )
    # Below 0.003 the law has no mass that a float64 could show.
    standardised = np.maximum(1.0 / 6.0 + (statistic - mean) / np.sqrt(45.0 * variance), 0.003)
    cdf = np.zeros_like(standardised)
    for term in range(40):
        weight = special.gamma(term + 0.5) / special.gamma(term + 1.0) / np.pi**1.5
        y = (4 * term + 1) ** 2 / (16.0 * standardised)
        # kve is K(y) exp(y), which does not underflow before the product does.
        cdf += weight * np.sqrt((4 * term + 1) / standardised) * np.exp(-2.0 * y) * special.kve(0.25, y)
    return np.asarray(np.clip(1.0 - cdf, 0.0, 1.0), dtype=np.float64)


def _two_sided_only(name: str, alternative: str) -> Alternative:
    if parse_alternative(alternative, scipy_greater="higher") != "two-sided":
        raise InvalidArgumentError(
            f"The test {name} has no direction, so its alternative can only be 'two-sided', "
            f"not {alternative!r}; ks_2samp and mannwhitneyu can test for 'higher'."
        )
    return "two-sided"


def _need_two(name: str, what: str, size: int) -> None:
    if size < 2:
        raise InvalidArgumentError(f"The test {name} needs at least 2 scores in the {what}, not {size}.")
