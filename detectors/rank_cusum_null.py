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

from detectors.rank_bets import best_bets, stake_factors

FloatArray = npt.NDArray[np.float64]

SIMULATED_WINDOWS = 4096
"""Windows drawn for a law; p-values from 0.5 to 1e-9 are then known to 3-5 %."""

NUMBERS_AT_A_TIME = 2_000_000
"""Bound on the arrays held in memory, in float64 numbers."""

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
    bets = np.log(stake_factors(n, "two-sided" if two_sided else "higher"))
    rng = np.random.default_rng(SEED)
    at_a_time = max(NUMBERS_AT_A_TIME // (max(n + 1, m) * bets.shape[1]), 1)
    drawn = []
    for start in range(0, SIMULATED_WINDOWS, at_a_time):
        ranks, log_weights = _draw_ranks(n, m, bets, min(at_a_time, SIMULATED_WINDOWS - start), rng)
        drawn.append((best_bets(bets[ranks], m)[:, 0], np.exp(log_weights)))
    statistics, weights = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    # With a small reference many windows have the same statistic, up to rounding.
    distinct, place = np.unique(statistics.round(STATISTIC_DECIMALS), return_inverse=True)
    shares = np.bincount(place, weights) / len(statistics)
    tails = np.minimum(np.cumsum(shares[::-1])[::-1], 1.0)
    return RankCusumLaw(distinct, np.log(tails))


def _draw_ranks(
    n: int, m: int, bets: FloatArray, k: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Numbers of reference scores above each score of k windows, shape (k, m), and log weights, shape (k,).

    From some random place on, the ranks follow the law that favours one bet.
    """
    gaps = draw_gaps(n, k, rng)
    favoured, log_norms = favour(gaps, bets)
    runs = np.arange(1, m + 1)
    run_shares = 1.0 / (runs + SHORT_RUN)
    run_shares /= run_shares.sum()
    bet = rng.integers(bets.shape[1], size=k)
    onset = m - rng.choice(runs, size=k, p=run_shares)

    uniforms = rng.random((k, m))
    late = np.arange(m) >= onset[:, None]
    ranks = np.where(late, places(favoured[np.arange(k), :, bet], uniforms), places(gaps, uniforms))
    won = bets[ranks] - log_norms[:, None, :]
    ratios = np.cumsum(won[:, ::-1], axis=1) + np.log(run_shares / bets.shape[1])[:, None]
    highest = ratios.max(axis=(1, 2))
    return ranks, -(highest + np.log(np.exp(ratios - highest[:, None, None]).sum(axis=(1, 2))))


def draw_gaps(n: int, k: int, rng: np.random.Generator) -> FloatArray:
    """Shares of the population that lie in the gaps of k random references, shape (k, n + 1)."""
    gaps = rng.standard_exponential((k, n + 1))
    gaps /= gaps.sum(axis=1, keepdims=True)
    return gaps


def favour(gaps: FloatArray, bets: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weigh the gaps by what each bet wins there.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        Shares of the gaps under the law that favours each bet, shape (k, n + 1, bets); and the logarithm of
        what each bet wins in the mean, shape (k, bets).
    """
    weighed = gaps[:, :, None] * np.exp(bets)
    norms = weighed.sum(axis=1)
    return weighed / norms[:, None, :], np.log(norms)


def places(shares: FloatArray, uniforms: FloatArray) -> npt.NDArray[np.int64]:
    """Which share of its row, shape (k, cells), each uniform number falls on, shape (k, m)."""
    k, cells = shares.shape
    # One search for all rows: row i occupies the numbers from i to i + 1.
    rows = np.arange(k)[:, None]
    edges = np.cumsum(shares, axis=1)[:, :-1] + rows
    return np.asarray(np.searchsorted(edges.ravel(), uniforms + rows) - rows * (cells - 1), dtype=np.int64)
