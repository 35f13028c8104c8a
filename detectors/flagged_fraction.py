"""Window test that counts the highest scores and passes over how the others moved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from detectors.promises.window_samples import (
    Alternative,
    WindowTestResult,
    parse_alternative,
    sorted_reference,
    sorted_windows,
)

FloatArray = npt.NDArray[np.float64]

FLAGGED_SHARE = 0.05
"""Share of the reference that is flagged; the same as that of the threshold which ``fit`` infers."""


class FlaggedFractionTest:
    """Whether more scores of a window than of the reference are among the highest.

    Drift that does no harm may raise all scores a little: fog and low contrast do, and tests of the whole
    distribution then flag every window. Harm shows in the highest scores. This test counts those alone.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,), any order.
    alternative
        ``higher`` counts scores above the reference's 95 % percentile, ``lower`` those below its 5 %
        percentile, ``two-sided`` both. scipy's names mean what they mean in ``ks_2samp``.

    Attributes
    ----------
    name
        ``flagged_fraction``.
    reference
        Sorted scores, float64, shape (n,), read-only.
    alternative
        ``higher``, ``lower`` or ``two-sided``.

    Raises
    ------
    InvalidArgumentError
        If the reference is empty, not one-dimensional or holds a NaN, or a name is unknown.

    Notes
    -----
    The statistic is the share of the window above the r-th largest score of the reference, where r is 5 % of
    n, at least 1; for ``two-sided`` the larger share of both ends. Of m clean scores at least a exceed that
    score with the probability that at least a of the a + r - 1 highest scores of both samples are from the
    window, which is hypergeometric. It is exact without ties, and conservative with them. Two-sided p-values
    are twice the smaller one.

    References
    ----------
    E. J. Gumbel, H. von Schelling (1950), "The distribution of the number of exceedances", Annals of
    Mathematical Statistics 21, 247-262.

    Examples
    --------
    >>> test = FlaggedFractionTest(np.arange(100.0), alternative="higher")
    >>> result = test.test([[96.0, 97.0, 98.0, 99.0], [90.0, 91.0, 92.0, 93.0]])
    >>> result.statistic, result.p_value.round(6)
    (array([1., 0.]), array([1.5e-05, 1.0e+00]))
    """

    name = "flagged_fraction"

    def __init__(self, reference: npt.ArrayLike, alternative: str = "two-sided") -> None:
        self.alternative: Alternative = parse_alternative(alternative, scipy_greater="higher")
        self.reference: FloatArray = sorted_reference(reference)
        self._rank = max(round(FLAGGED_SHARE * len(self.reference)), 1)

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m); raises ``InvalidArgumentError`` on a NaN."""
        scores = sorted_windows(windows)
        counts = {
            "higher": (scores > self.reference[-self._rank]).sum(axis=1),
            "lower": (scores < self.reference[self._rank - 1]).sum(axis=1),
        }
        if self.alternative == "two-sided":
            count = np.maximum(counts["higher"], counts["lower"])
            p_value = np.minimum(2.0 * self._tail(count, scores.shape[1]), 1.0)
        else:
            count = counts[self.alternative]
            p_value = self._tail(count, scores.shape[1])
        return WindowTestResult(statistic=count / scores.shape[1], p_value=p_value)

    def _tail(self, count: npt.NDArray[np.int64], m: int) -> FloatArray:
        """Probability that at least so many of m clean scores are beyond the reference's r-th score."""
        n = len(self.reference)
        return np.asarray(stats.hypergeom.sf(count - 1, n + m, m, count + self._rank - 1), dtype=np.float64)
