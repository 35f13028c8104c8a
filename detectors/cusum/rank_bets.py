"""Bets that scores have drifted, placed on their ranks in the reference, and the best of them in a window."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter1d

from detectors.promises.window_samples import Alternative

FloatArray = npt.NDArray[np.float64]

TAIL_EXPONENT = 0.4
"""Drifted scores are taken to have the density ``0.4 p ** -0.6``: 40 % of them are among the highest tenth of
clean scores. Between 0.3 and 0.5 delays hardly change."""

DRIFTED_SHARES = (0.15, 0.6)
"""Shares of drifted scores that are bet on: one for faint drift and one for strong."""


@lru_cache(maxsize=32)
def stake_factors(n: int, alternative: Alternative) -> FloatArray:
    """What each bet multiplies its stake by.

    Parameters
    ----------
    n
        Size of the reference.
    alternative
        ``higher``, ``lower``, or ``two-sided``, which places the bets of both.

    Returns
    -------
    FloatArray
        Shape (n + 1, bets). Row i is for a score that i of the reference scores exceed.

    Notes
    -----
    Such a score has ``p = (i + 1 / 2) / (n + 1)``. A bet that a share c of the scores has drifted multiplies
    its stake by ``1 + c (k p^(k - 1) - 1)`` with k = ``TAIL_EXPONENT``. Were p uniform, the stake would not
    grow in the mean.
    """
    p = (np.arange(n + 1) + 0.5) / (n + 1)
    tails = {"higher": (p,), "lower": (p[::-1],), "two-sided": (p, p[::-1])}[alternative]
    densities = [TAIL_EXPONENT * tail ** (TAIL_EXPONENT - 1.0) for tail in tails]
    factors = np.stack([1.0 + c * (density - 1.0) for density in densities for c in DRIFTED_SHARES], axis=1)
    factors.setflags(write=False)
    return factors


def best_bets(won: FloatArray, m: int) -> FloatArray:
    """What the best bet, placed at the best moment within a window, has won at its end.

    Parameters
    ----------
    won
        What each bet wins on each score, as logarithms, shape (k, length, bets).
    m
        Size of a window, at most ``length``.

    Returns
    -------
    FloatArray
        Shape (k, length - m + 1), by the start of the window.
    """
    length = won.shape[1]
    totals = np.zeros((won.shape[0], length + 1, won.shape[2]))
    np.cumsum(won, axis=1, out=totals[:, 1:])
    if length == m:
        lowest = totals[:, :m].min(axis=1, keepdims=True)
    else:
        lowest = minimum_filter1d(totals, m, axis=1)[:, m // 2 : m // 2 + length - m + 1]
    return np.asarray((totals[:, m:] - lowest).max(axis=2), dtype=np.float64)
