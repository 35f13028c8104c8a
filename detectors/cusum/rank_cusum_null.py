"""Null law of the CUSUM on ranks, by importance sampling.

Given a reference, the ranks of clean scores are drawn from its gaps, which for a continuous population are
those of uniform scores: the law depends on the sizes of reference and window alone. Alarms are rare in it, so
windows are drawn in which a bet pays: up to a random moment ranks follow the null law and after it the law
under which that bet is fair game for the bank, and each window carries its likelihood ratio as a weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from detectors.cusum.lucky_references import LuckyReferences, places
from detectors.cusum.rank_bets import best_bets, stake_factors

FloatArray = npt.NDArray[np.float64]

SIMULATED_WINDOWS = 4096
"""Windows drawn for a law; p-values down to 0.001 are then known to 3-10 %, smaller ones less well."""

WINDOWS_AT_A_TIME = 128
"""Windows for whose references the luck with one bet decides."""

SHORT_RUN = 10
"""Drift is taken to begin j scores before the end with probability proportional to ``1 / (j + SHORT_RUN)``:
short runs, which make most of the alarms, come up more often."""

SIZES_PER_OCTAVE = 8
"""Window sizes between m and 2 m that have a law of their own."""

STATISTIC_DECIMALS = 9
"""Statistics closer than this are the same: they are sums that were rounded in another order."""

SEED = 20240303
"""Fixed, so that all workers of a monitor arrive at the same p-values."""


@dataclass(frozen=True)
class RankCusumLaw:
    """Probability of each statistic if nothing has drifted.

    Attributes
    ----------
    statistics
        In increasing order, shape (k,).
    log_tails
        Logarithm of the probability of at least that, shape (k,).
    """

    statistics: FloatArray
    log_tails: FloatArray

    def p_values(self, statistic: npt.ArrayLike) -> FloatArray:
        """Probability of a statistic at least as large, any shape."""
        given = np.asarray(statistic, dtype=np.float64).round(STATISTIC_DECIMALS)
        # Beyond what was drawn the tail falls at least as fast as a stake may grow.
        beyond = np.maximum(given - self.statistics[-1], 0.0)
        return np.asarray(np.exp(np.interp(given, self.statistics, self.log_tails) - beyond))

    def statistic(self, level: float) -> float:
        """Statistic that is reached with probability ``level``, in (0, 1)."""
        wanted = math.log(level)
        beyond = max(float(self.log_tails[-1]) - wanted, 0.0)
        return float(np.interp(-wanted, -self.log_tails, self.statistics)) + beyond


def law_size(m: int) -> int:
    """Smallest window size of at least m that has a law of its own.

    Partial windows come in all sizes, and each law takes a while to simulate. The law of a larger window has
    the larger p-values.
    """
    step = max((1 << (m - 1).bit_length()) // (2 * SIZES_PER_OCTAVE), 1)
    return -(-m // step) * step


@lru_cache(maxsize=128)
def rank_cusum_law(n: int, m: int, two_sided: bool) -> RankCusumLaw:
    """Simulate the law for a reference of n scores and windows of m; remembered.

    Parameters
    ----------
    n, m
        Sizes of reference and window, at least 1.
    two_sided
        Whether the alternative is ``two-sided``; ``higher`` and ``lower`` have the same law.
    """
    factors = stake_factors(n, "two-sided" if two_sided else "higher")
    bets = np.log(factors)
    rng = np.random.default_rng(SEED)
    drawn = []
    for chunk in range(SIMULATED_WINDOWS // WINDOWS_AT_A_TIME):
        bet = chunk % bets.shape[1]
        references = LuckyReferences(n, m, WINDOWS_AT_A_TIME, bet, factors, rng)
        ranks, weights_drawn = _draw_ranks(m, bet, bets, references, rng)
        drawn.append((best_bets(bets[ranks], m)[:, 0], weights_drawn))
    statistics, weights = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    # With a small reference many windows have the same statistic, up to rounding.
    distinct, place = np.unique(statistics.round(STATISTIC_DECIMALS), return_inverse=True)
    shares = np.bincount(place, weights) / len(statistics)
    tails = np.minimum(np.cumsum(shares[::-1])[::-1], 1.0)
    # Weights of what is all but impossible may underflow to 0.
    return RankCusumLaw(distinct, np.log(np.maximum(tails, np.finfo(np.float64).tiny)))


def _draw_ranks(
    m: int, bet: int, bets: FloatArray, references: LuckyReferences, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Numbers of reference scores above each score of k windows, shape (k, m), and weights, shape (k,).

    From some random place on, the ranks follow the law that favours a bet. The weights hold for windows that
    are drawn as often for each bet.
    """
    k = len(references.gaps)
    runs = np.arange(1, m + 1)
    run_shares = 1.0 / (runs + SHORT_RUN)
    run_shares /= run_shares.sum()
    onset = m - rng.choice(runs, size=k, p=run_shares)
    uniforms = rng.random((k, m))
    late = np.arange(m) >= onset[:, None]
    drifted = places(references.favoured[:, :, bet], uniforms)
    ranks = np.where(late, drifted, places(references.gaps, uniforms))
    won = bets[ranks] - references.log_wins[:, None, :]
    ratios = np.cumsum(won[:, ::-1], axis=1) + np.log(run_shares / bets.shape[1])[:, None]
    ratios += references.log_excess[:, None, :]
    return ranks, np.exp(-special.logsumexp(ratios, axis=(1, 2)))
