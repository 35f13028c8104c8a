"""How often alarms of overlapping windows begin, for the CUSUM on ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d

from detectors.cusum.lucky_references import LuckyReferences, places
from detectors.cusum.rank_bets import best_bets, stake_factors
from detectors.cusum.rank_cusum_null import SEED, law_size, rank_cusum_law
from detectors.errors import InvalidArgumentError

FloatArray = npt.NDArray[np.float64]

SIMULATED_STREAMS = 8192
"""Streams drawn for each bet; the rate is then known to 2-7 %."""

STREAMS_AT_A_TIME = 128
"""Streams that begin at the same phase between two windows, and whose references are chosen together."""

ROUNDING = 1e-9
"""Sums closer than this are the same sum, added up in another order."""


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

    Notes
    -----
    Every alarm has a bet and a moment from which that bet won most. So the rate of alarms is the sum over
    bets of the probability that an alarm begins whose best moment is a given one. This is estimated from
    streams whose ranks follow the law that favours the bet from that moment on: there, alarms begin soon, and
    each counts with its likelihood ratio, which is close to ``exp(-threshold)`` for all of them. References
    by whose luck clean scores look drifted raise most of the false alarms, and are drawn more often.

    References
    ----------
    D. Siegmund (1976), "Importance sampling in the Monte Carlo study of sequential tests", Annals of
    Statistics 4, 673-684.
    """
    if quiet_windows == 0:
        return 1.0 / windows
    factors = stake_factors(n, "two-sided" if two_sided else "higher")
    rng = np.random.default_rng(SEED)
    # Windows end at any phase after the moment, as it may lie anywhere between two of them.
    chunks = -(-SIMULATED_STREAMS // STREAMS_AT_A_TIME // hop) * hop
    found = [
        _onsets(n, m, hop, quiet_windows, chunk % hop, bet, factors, rng)
        for bet in range(factors.shape[1])
        for chunk in range(chunks)
    ]
    own, highest_before, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # Such a window begins an alarm at all thresholds above the windows before it, up to its own statistic.
    changes = np.concatenate([own, highest_before])
    order = np.argsort(-changes)
    rates = np.cumsum(np.concatenate([weights, -weights])[order]) * hop / (chunks * STREAMS_AT_A_TIME)
    reached = np.flatnonzero(rates >= 1.0 / windows)
    if not reached.size:
        raise InvalidArgumentError(
            f"Alarms cannot begin as often as once in {windows:g} windows if none of the {quiet_windows} "
            "windows before them may have drifted; promise a longer run-time."
        )
    law = rank_cusum_law(n, law_size(m), two_sided)
    return float(law.p_values(changes[order][reached[0]]))


def _onsets(
    n: int,
    m: int,
    hop: int,
    quiet_windows: int,
    phase: int,
    bet: int,
    factors: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Windows that may begin an alarm for which a bet wins most from the middle of a stream on.

    Returns their statistics, the highest of the windows before each, and their weights; all have shape (k,).
    """
    streams, lead = STREAMS_AT_A_TIME, m + quiet_windows * hop
    references = LuckyReferences(n, m, streams, bet, factors, rng)
    clean = places(references.gaps, rng.random((streams, lead)))
    drifted = places(references.favoured[:, :, bet], rng.random((streams, m)))
    ranks, bets = np.concatenate([clean, drifted], axis=1), np.log(factors)
    won = bets[ranks][:, (lead + phase + 1 - m) % hop :]
    statistics = best_bets(won, m)[:, ::hop]
    # Shifted so that the highest of the windows before, without the window itself, stands at its place.
    before = maximum_filter1d(statistics, quiet_windows, axis=1, mode="nearest")
    shift = quiet_windows - quiet_windows // 2
    ends = np.arange(phase, m, hop)
    columns = statistics.shape[1] - len(ends) + np.arange(len(ends))
    highest_before = before[:, columns - shift]
    statistics = statistics[:, columns]
    totals = np.cumsum(bets[ranks[:, lead:], bet], axis=1)[:, ends]
    chosen = (totals >= statistics - ROUNDING) & (statistics > highest_before)
    weights = np.exp((ends + 1) * references.log_wins[:, [bet]] - totals - references.log_excess[:, [bet]])
    return statistics[chosen], highest_before[chosen], weights[chosen]
