"""Null law of the CUSUM on ranks, and how often its alarms begin, by importance sampling.

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

from detectors.errors import InvalidArgumentError
from detectors.rank_bets import best_bets, stake_factors

FloatArray = npt.NDArray[np.float64]

SIMULATED_WINDOWS = 4096
"""Windows drawn for a law; p-values from 0.5 to 1e-9 are then known to 3-5 %."""

SIMULATED_ONSETS = 16384
"""Windows drawn for the rate at which alarms begin, which only one window in several does."""

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
    statistics, _, weights = _draw_windows(n, m, 0, 1, two_sided, SIMULATED_WINDOWS)
    # With a small reference many windows have the same statistic, up to rounding.
    distinct, place = np.unique(statistics.round(STATISTIC_DECIMALS), return_inverse=True)
    shares = np.bincount(place, weights) / len(statistics)
    tails = np.minimum(np.cumsum(shares[::-1])[::-1], 1.0)
    return RankCusumLaw(distinct, np.log(tails))


def level_for_onsets(windows: float, n: int, m: int, hop: int, quiet_windows: int, two_sided: bool) -> float:
    """Drift probability of a clean window at which one window in so many begins an alarm.

    Parameters
    ----------
    windows
        Mean number of windows for each alarm, above 1.
    n, m
        Sizes of reference and window.
    hop
        Scores between the starts of two windows, at most m.
    quiet_windows
        A drifted window begins an alarm if none of so many windows before it has drifted.
    two_sided
        Whether the alternative is ``two-sided``.

    Returns
    -------
    float
        In (0, 1).

    Raises
    ------
    InvalidArgumentError
        If alarms cannot begin as often as that.
    """
    law = rank_cusum_law(n, law_size(m), two_sided)
    final, highest_before, weights = _draw_windows(
        n, m, quiet_windows, hop, two_sided, SIMULATED_ONSETS if quiet_windows else SIMULATED_WINDOWS
    )
    # A window begins an alarm at all thresholds above the highest before it, up to its own.
    begins = final > highest_before
    changes = np.concatenate([final[begins], highest_before[begins]])
    signs = np.concatenate([weights[begins], -weights[begins]]) / len(final)
    order = np.argsort(-changes)
    rate = np.cumsum(signs[order])
    reached = np.flatnonzero(rate >= 1.0 / windows)
    if not reached.size:
        raise InvalidArgumentError(
            f"Alarms cannot begin as often as once in {windows:g} windows if none of the {quiet_windows} "
            "windows before them may have drifted; promise a longer run-time."
        )
    return float(law.p_values(changes[order][reached[0]]))


@lru_cache(maxsize=16)
def _draw_windows(
    n: int, m: int, quiet_windows: int, hop: int, two_sided: bool, count: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Statistic of windows, the highest of the windows before each, and weights; all of shape (count,)."""
    rng = np.random.default_rng(SEED)
    length = m + quiet_windows * hop
    bets = np.log(stake_factors(n, "two-sided" if two_sided else "higher"))
    at_a_time = max(NUMBERS_AT_A_TIME // max((n + 1), length * bets.shape[1]), 1)
    drawn = []
    for start in range(0, count, at_a_time):
        k = min(at_a_time, count - start)
        ranks, log_weights = _draw_ranks(n, m, length, bets, k, rng)
        statistics = best_bets(bets[ranks], m)[:, ::hop]
        before = statistics[:, :-1].max(axis=1, initial=-np.inf)
        drawn.append((statistics[:, -1], before, np.exp(log_weights)))
    final, highest_before, weights = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return final, highest_before, weights


def _draw_ranks(
    n: int, m: int, length: int, bets: FloatArray, k: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Numbers of reference scores above each of ``length`` scores, shape (k, length), and log weights (k,).

    From some place among the last m scores on, the ranks follow the law that favours one bet.
    """
    gaps = rng.standard_exponential((k, n + 1))
    gaps /= gaps.sum(axis=1, keepdims=True)
    favoured = gaps[:, :, None] * np.exp(bets)
    log_norms = np.log(favoured.sum(axis=1))
    runs = np.arange(1, m + 1)
    run_shares = 1.0 / (runs + SHORT_RUN)
    run_shares /= run_shares.sum()
    bet = rng.integers(bets.shape[1], size=k)
    onset = length - rng.choice(runs, size=k, p=run_shares)

    uniforms = rng.random((k, length))
    ranks = _places(gaps, uniforms)
    drifted = favoured[np.arange(k), :, bet]
    ranks_drifted = _places(drifted / drifted.sum(axis=1, keepdims=True), uniforms[:, length - m :])
    late = np.arange(length - m, length) >= onset[:, None]
    ranks[:, length - m :] = np.where(late, ranks_drifted, ranks[:, length - m :])

    won = bets[ranks[:, length - m :]] - log_norms[:, None, :]
    ratios = np.cumsum(won[:, ::-1], axis=1) + np.log(run_shares / bets.shape[1])[:, None]
    highest = ratios.max(axis=(1, 2))
    return ranks, -(highest + np.log(np.exp(ratios - highest[:, None, None]).sum(axis=(1, 2))))


def _places(shares: FloatArray, uniforms: FloatArray) -> npt.NDArray[np.int64]:
    """Which share of its row each uniform number falls on."""
    k, cells = shares.shape
    # One search for all rows: row i occupies the numbers from i to i + 1.
    edges = np.cumsum(shares, axis=1)[:, :-1] + np.arange(k)[:, None]
    found = np.searchsorted(edges.ravel(), uniforms + np.arange(k)[:, None])
    return np.asarray(found - np.arange(k)[:, None] * (cells - 1), dtype=np.int64)
