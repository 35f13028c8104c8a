"""Two-sample Kolmogorov-Smirnov test of many windows against one fixed reference."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_null import asymptotic_p_values, ks_null_law
from detectors.promises.window_samples import (
    Alternative,
    WindowTestResult,
    parse_alternative,
    sorted_reference,
    sorted_windows,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KSMethod: TypeAlias = Literal["auto", "exact", "asymp"]

KS_METHODS: tuple[KSMethod, ...] = ("auto", "exact", "asymp")

LARGEST_EXACT_SAMPLE = 10_000
"""With ``method='auto'`` p-values are exact up to this sample size; the same as in scipy."""


def ks_lattice_statistic(reference: FloatArray, windows: FloatArray, alternative: Alternative) -> IntArray:
    """K-S statistics as integers, in units of ``1 / lcm(n, m)``.

    Parameters
    ----------
    reference
        Sorted reference, shape (n,).
    windows
        Windows with each row sorted, shape (k, m).
    alternative
        Which one of D+ and D- counts, or the larger of both.

    Returns
    -------
    IntArray
        Shape (k,).

    Notes
    -----
    With L_i and R_i the numbers of reference scores below and not above the i-th score of a sorted window,
    the reference's distribution function exceeds the window's by at most ``max(L_i / n - (i - 1) / m)``
    (window scores are higher) and falls short of it by at most ``max(i / m - R_i / n)`` (they are lower).
    Tied scores need no special care: of a run, only the first or the last score attains the maximum.
    """
    k, m = windows.shape
    n = len(reference)
    flat = windows.ravel()
    below = np.searchsorted(reference, flat, side="left")
    not_above = below
    # A second search is the dearest step, and it finds the same places unless a score is in the reference.
    if alternative != "higher" and (reference[np.minimum(below, n - 1)] == flat).any():
        not_above = np.searchsorted(reference, flat, side="right")
    return ks_statistic_of_ranks(below.reshape(k, m), not_above.reshape(k, m), n, alternative)


def ks_statistic_of_ranks(below: IntArray, not_above: IntArray, n: int, alternative: Alternative) -> IntArray:
    """K-S statistics in units of ``1 / lcm(n, m)`` from the places of window scores in the reference.

    Parameters
    ----------
    below, not_above
        How many of the n reference scores are below, and not above, each window score; shape (k, m), each row
        in increasing order. Without ties they are the same.
    n
        Size of the reference.
    alternative
        As in ``ks_lattice_statistic``.

    Returns
    -------
    IntArray
        Shape (k,).
    """
    m = below.shape[1]
    gcd = math.gcd(n, m)
    per_reference, per_window = m // gcd, n // gcd
    steps = np.arange(m + 1, dtype=np.int64) * per_window
    statistic = np.zeros(len(below), dtype=np.int64)
    if alternative != "lower":
        statistic = (below * per_reference - steps[:-1]).max(axis=1)
    if alternative != "higher":
        statistic = np.maximum(statistic, (steps[1:] - not_above * per_reference).max(axis=1))
    return statistic


def ks_p_values(statistic: IntArray, n: int, m: int, two_sided: bool, method: KSMethod) -> FloatArray:
    """P-values of K-S statistics given in units of ``1 / lcm(n, m)``, any shape.

    ``auto`` is exact if neither sample is larger than 10,000, else asymptotic.
    """
    if method == "exact" or (method == "auto" and max(n, m) <= LARGEST_EXACT_SAMPLE):
        return ks_null_law(n, m, two_sided).p_values(statistic)
    return asymptotic_p_values(statistic / math.lcm(n, m), n, m, two_sided)


def parse_method(method: str) -> KSMethod:
    """Read the name of a way to compute p-values; raises ``InvalidArgumentError`` if there is none such."""
    for known in KS_METHODS:
        if method == known:
            return known
    raise InvalidArgumentError(f"There is no method {method!r}; choose 'auto', 'exact' or 'asymp'.")


class KolmogorovSmirnovTest:
    """Two-sample Kolmogorov-Smirnov test against a reference that is sorted once.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,), any order.
    alternative
        ``higher`` detects windows whose scores are larger than the reference's, ``lower`` smaller ones,
        ``two-sided`` both. scipy's names mean what they mean in ``ks_2samp(reference, window)``, where they
        speak of distribution functions: ``greater`` is ``higher`` and ``less`` is ``lower``.
    method
        ``exact``; ``asymp``; or ``auto``, which is exact up to sample sizes of 10,000.

    Attributes
    ----------
    name
        ``ks_2samp``.
    reference
        Sorted scores, float64, shape (n,), read-only.
    alternative
        ``higher``, ``lower`` or ``two-sided``.
    method
        As given.

    Raises
    ------
    InvalidArgumentError
        If the reference is empty, not one-dimensional or holds a NaN, or a name is unknown.

    Notes
    -----
    The statistic is ``D = sup_x |F(x) - G(x)|`` for the empirical distribution functions F of the reference
    and G of the window (``F - G`` for ``higher``, ``G - F`` for ``lower``). Statistics and p-values equal
    those of ``scipy.stats.ks_2samp``, ties included. Where scipy falls back to the asymptotic formula because
    its path counts overflow (one-sided, large samples), the p-value here stays exact.

    Tied scores make the test conservative: D is smaller than it would be if the ties were broken.

    Examples
    --------
    >>> test = KolmogorovSmirnovTest([1.0, 2.0], alternative="higher")
    >>> result = test.test([[3.0, 4.0], [1.0, 2.0]])
    >>> result.statistic
    array([1., 0.])
    >>> result.p_value.round(4)
    array([0.1667, 1.    ])

    References
    ----------
    J. L. Hodges (1958), "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3,
    469-486.
    """

    name = "ks_2samp"

    def __init__(
        self, reference: npt.ArrayLike, alternative: str = "two-sided", method: str = "auto"
    ) -> None:
        self.alternative: Alternative = parse_alternative(alternative, scipy_greater="higher")
        self.method: KSMethod = parse_method(method)
        self.reference: FloatArray = sorted_reference(reference)

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m); m may differ from call to call.

        Raises
        ------
        InvalidArgumentError
            If ``windows`` is not a matrix of numbers or a window holds a NaN.
        """
        scores = sorted_windows(windows)
        n, m = len(self.reference), scores.shape[1]
        lattice = ks_lattice_statistic(self.reference, scores, self.alternative)
        p_value = ks_p_values(lattice, n, m, self.alternative == "two-sided", self.method)
        return WindowTestResult(statistic=lattice / math.lcm(n, m), p_value=p_value)
