"""CUSUM on ranks within a window: finds drift that began somewhere in it, whenever that was."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.cusum.rank_bets import best_bets, stake_factors
from detectors.cusum.rank_cusum_null import law_size, rank_cusum_law
from detectors.promises.window_samples import (
    Alternative,
    WindowTestResult,
    parse_alternative,
    sorted_reference,
    sorted_windows,
)

FloatArray = npt.NDArray[np.float64]


class RankCusumTest:
    """Window-limited CUSUM of bets on the ranks of scores in the reference.

    The other tests ask whether a window as a whole has drifted; a few drifted scores at its end are lost
    among the clean ones before them. This one asks whether any *end* of the window has, however long. So a
    window may be large, which faint drift needs, and slide by a small hop, and strong drift is still seen
    after a few scores.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,), any order.
    alternative
        ``higher`` detects scores that become larger than the reference's, ``lower`` smaller ones,
        ``two-sided`` both. scipy's names mean what they mean in ``ks_2samp``: ``greater`` is ``higher``.

    Attributes
    ----------
    name
        ``rank_cusum``.
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
    The statistic is the logarithm of what the best of the bets of ``detectors.cusum.rank_bets`` would have
    won by the window's end if it had been placed at the best moment within the window: ``max over bets b and
    starts s of sum_{i >= s} log(1 + c_b (k p_i^(k-1) - 1))``, where p is the share of the reference above a
    score. Unlike with the other tests, the order of the scores matters.

    The null law depends on the sizes of reference and window alone. It is simulated (see
    ``detectors.cusum.rank_cusum_null``), so p-values are known to 3-10 %. A score that equals some of the
    reference wins the mean of what it would win at each place among them, which keeps the bets fair.

    References
    ----------
    T. L. Lai (1998), "Information bounds and quick detection of parameter changes in stochastic systems",
    IEEE Transactions on Information Theory 44, 2917-2929 (the window-limited CUSUM). V. Vovk, I. Petej, I.
    Nouretdinov, E. Ahlberg, L. Carlsson, A. Gammerman (2021), "Retrain or not retrain: conformal test
    martingales for change-point detection", Proceedings of Machine Learning Research 152, 191-210 (CUSUM of
    bets on ranks).

    Examples
    --------
    >>> test = RankCusumTest(np.arange(100.0), alternative="higher")
    >>> calm = [10.0, 90.0, 30.0, 70.0, 50.0, 20.0, 80.0, 40.0, 60.0, 50.0]
    >>> result = test.test([calm, [*calm[:7], 98.5, 99.5, 99.5]])
    >>> result.p_value < 0.001
    array([False,  True])
    """

    name = "rank_cusum"

    def __init__(self, reference: npt.ArrayLike, alternative: str = "two-sided") -> None:
        self.alternative: Alternative = parse_alternative(alternative, scipy_greater="higher")
        self.reference: FloatArray = sorted_reference(reference)
        # Row i: what all places from the top down to the i-th would win together.
        factors = stake_factors(len(self.reference), self.alternative)
        self._cumulative = np.concatenate([np.zeros((1, factors.shape[1])), np.cumsum(factors, axis=0)])

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m), scores in the order in which they came.

        Raises
        ------
        InvalidArgumentError
            If ``windows`` is not a matrix of numbers or a window holds a NaN.
        """
        m = sorted_windows(windows).shape[1]
        statistic = self.statistics(np.asarray(windows, dtype=np.float64), m)[:, 0]
        law = rank_cusum_law(len(self.reference), law_size(m), self.alternative == "two-sided")
        return WindowTestResult(statistic=statistic, p_value=law.p_values(statistic))

    def statistics(self, scores: FloatArray, m: int) -> FloatArray:
        """Statistics of all windows of m consecutive scores.

        Parameters
        ----------
        scores
            Scores in the order in which they came, shape (k, length), without NaN.
        m
            Size of a window, at most ``length``.

        Returns
        -------
        FloatArray
            Shape (k, length - m + 1), by the start of the window.
        """
        flat = scores.ravel()
        above = len(self.reference) - np.searchsorted(self.reference, flat, side="right")
        not_below = len(self.reference) - np.searchsorted(self.reference, flat, side="left")
        places = (not_below - above + 1)[:, None]
        won = np.log((self._cumulative[not_below + 1] - self._cumulative[above]) / places)
        return best_bets(won.reshape(*scores.shape, -1), m)
