"""Random references, those by whose luck clean scores look drifted more often than others.

Such references raise most of the false alarms, so estimates from references drawn evenly are unsure. What is
drawn here carries its likelihood ratio.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from detectors.cusum.rank_bets import DRIFTED_SHARES

FloatArray = npt.NDArray[np.float64]

CANDIDATE_SCORES = 8000
"""Scores in the references drawn for each one that is chosen, of which there are at most 8: luck, for which
they are chosen, is the smaller the larger they are."""

TYPICAL_RUN = 15.0
"""Scores that many an alarm takes, times the share of drifted ones that is bet on. References are chosen by
what the bet wins with them, in the mean, on so many clean scores."""


class LuckyReferences:
    """References of which half are drawn in proportion to what one bet wins with them on clean scores.

    Parameters
    ----------
    n
        Size of a reference.
    m
        Size of the windows that are tested against it.
    count
        Number of references, k.
    bet
        Which bet.
    factors
        From `detectors.cusum.rank_bets.stake_factors`, shape (n + 1, bets).
    rng
        Source of randomness.

    Attributes
    ----------
    gaps
        Shares of the population in the gaps between reference scores, highest first, shape (k, n + 1).
    favoured
        The same under the law of scores that favours each bet, shape (k, n + 1, bets).
    log_wins
        Logarithm of what each bet wins on a clean score in the mean, shape (k, bets).
    log_excess
        Logarithm of how many times as often each reference comes up if it is drawn for each bet as if all
        were drawn evenly, shape (k, bets).
    """

    def __init__(
        self, n: int, m: int, count: int, bet: int, factors: FloatArray, rng: np.random.Generator
    ) -> None:
        candidates = min(max(CANDIDATE_SCORES // n, 1), 8)
        gaps = rng.standard_exponential((candidates * count, n + 1))
        gaps /= gaps.sum(axis=1, keepdims=True)
        wins = gaps @ factors
        shares = np.resize(DRIFTED_SHARES, factors.shape[1])
        won = wins ** np.minimum(m, TYPICAL_RUN / shares)
        # The half that is drawn evenly bounds the weight of references with which a bet wins little.
        excess = 0.5 + 0.5 * won / won.mean(axis=0)
        chosen = rng.choice(len(gaps), count, p=excess[:, bet] / excess[:, bet].sum())
        self.gaps: FloatArray = gaps[chosen]
        self.favoured: FloatArray = self.gaps[:, :, None] * factors / wins[chosen, None, :]
        self.log_wins: FloatArray = np.log(wins[chosen])
        self.log_excess: FloatArray = np.log(excess[chosen])


def places(shares: FloatArray, uniforms: FloatArray) -> npt.NDArray[np.int64]:
    """Which share of its row, shape (k, cells), each uniform number falls on, shape (k, m)."""
    k, cells = shares.shape
    # One search for all rows: row i occupies the numbers from i to i + 1.
    rows = np.arange(k)[:, None]
    edges = np.cumsum(shares, axis=1)[:, :-1] + rows
    return np.asarray(np.searchsorted(edges.ravel(), uniforms + rows) - rows * (cells - 1), dtype=np.int64)
