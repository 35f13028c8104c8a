"""How false alarms of overlapping windows cluster: what share of them begins a new alarm."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_extremes import AlarmingWindows, ranks_in_own_reference
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import ks_statistic_of_ranks
from detectors.promises.window_samples import Alternative

SIMULATED_ALARMS = 4000
"""Pairs of reference and alarming window that are drawn."""

HISTORIES = 4
"""Orders and earlier scores tried for each pair; with 16,000 in all a share of 0.4 is known to 1 %."""

PAIRS_AT_A_TIME = 100
"""References held in memory together."""

LARGEST_LEVEL = 0.5
"""Where windows drift more often than this, alarms merge rather than come more often."""

LEVEL_TOLERANCE = 0.01
"""Relative change of the level at which the search for it ends; the simulation is no more exact."""

SLOPE_DISTANCE = 0.2
"""Closer levels than this, in logarithms, tell more about the simulation's error than about the slope."""

ROUNDS = 8
"""Bound on the search; most need three, and more rounds only follow the simulation's error."""

SEED = 20240229
"""Fixed, so that all workers of a monitor arrive at the same threshold."""


def overlapping_windows(m: int, hop: int) -> int:
    """How many windows before a window share scores with it; 0 for tumbling windows."""
    return math.ceil(m / hop) - 1


@lru_cache(maxsize=256)
def new_alarm_share(n: int, m: int, hop: int, quiet_windows: int, statistic: int, two_sided: bool) -> float:
    """Probability that none of the preceding windows drifted, given that a clean window does.

    Parameters
    ----------
    n
        Size of the reference.
    m
        Size of the window, at most n.
    hop
        Scores between the starts of two windows.
    quiet_windows
        Number of preceding windows that must not have drifted for an alarm to count as new.
    statistic
        Smallest K-S statistic that counts as drift, in units of ``1 / lcm(n, m)``.
    two_sided
        Whether the alternative is ``two-sided``; ``higher`` and ``lower`` have the same share.

    Returns
    -------
    float
        Estimated from 16,000 histories of 4,000 alarms with a fixed seed; remembered.

    Raises
    ------
    InvalidArgumentError
        If the window is larger than the reference.

    Notes
    -----
    The law of the ranks depends on n, m and the hop alone, not on the population, so uniform scores stand for
    any. References and windows are drawn under the condition that the window alarms; the scores before it are
    independent of the window given the reference. In the statistics of extremes the share is the extremal
    index of runs declustering.

    References
    ----------
    R. L. Smith, I. Weissman (1994), "Estimating the extremal index", Journal of the Royal Statistical Society
    B 56, 515-528.
    """
    if quiet_windows == 0:
        return 1.0
    if min(n, m, hop) < 1 or quiet_windows < 0:
        raise InvalidArgumentError("n, m and hop must be at least 1, and quiet_windows at least 0.")
    rng = np.random.default_rng(SEED)
    source = AlarmingWindows(n, m, statistic, two_sided)
    alternative: Alternative = "two-sided" if two_sided else "higher"
    new = 0
    for _ in range(0, SIMULATED_ALARMS, PAIRS_AT_A_TIME):
        references, ranks = source.draw(PAIRS_AT_A_TIME, rng)
        for _ in range(HISTORIES):
            earlier = rng.random((PAIRS_AT_A_TIME, quiet_windows * hop))
            latest = rng.permuted(ranks, axis=1)
            scores = np.concatenate([ranks_in_own_reference(references, earlier), latest], axis=1)
            for window in range(quiet_windows - 1, -1, -1):
                sorted_ranks = np.sort(scores[:, window * hop : window * hop + m], axis=1)
                quiet = ks_statistic_of_ranks(sorted_ranks, sorted_ranks, n, alternative) < statistic
                scores = scores[quiet]
            new += len(scores)
    # Half an alarm keeps the share positive where clusters are very long.
    return max(new, 0.5) / (SIMULATED_ALARMS * HISTORIES)


def level_for_new_alarms(
    windows: float, n: int, m: int, hop: int, quiet_windows: int, two_sided: bool
) -> float:
    """Drift probability of a clean window at which one window in so many begins a new alarm.

    Parameters
    ----------
    windows
        Mean number of windows for each new alarm.
    n, m, hop, quiet_windows, two_sided
        As in ``new_alarm_share``.

    Returns
    -------
    float
        In (0, 0.5].

    Raises
    ------
    InvalidArgumentError
        If new alarms cannot come as often as that, or the window is larger than the reference.
    """
    law = ks_null_law(n, m, two_sided)

    def log_share(log_level: float) -> float:
        statistic = min(law.critical_value(math.exp(log_level)), law.lcm)
        return math.log(new_alarm_share(n, m, hop, quiet_windows, statistic, two_sided))

    wanted = -math.log(windows)
    level, slope = wanted, 0.0
    share = log_share(level)
    for _ in range(ROUNDS):
        # The logarithm of the share is close to linear in that of the level, with a slope between -1 and 0.
        proposed = level + (wanted - level - share) / (1.0 + slope)
        if proposed > math.log(LARGEST_LEVEL):
            raise InvalidArgumentError(
                f"New alarms cannot come as often as once in {windows:g} windows if none of the "
                f"{quiet_windows} windows before them may have drifted; promise a longer run-time."
            )
        if abs(proposed - level) < LEVEL_TOLERANCE:
            break
        proposed_share = log_share(proposed)
        if abs(proposed - level) > SLOPE_DISTANCE:
            slope = min(max((proposed_share - share) / (proposed - level), -0.8), 0.0)
        level, share = proposed, proposed_share
    return math.exp(proposed)
