"""How far the false-alarm rate of one reference may lie from the rate pooled over all references.

A monitor has one reference. Its own rate of false alarms is a random quantity: two clean samples of the same
size from the same population can differ in it many times over when they are not much larger than a window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from detectors.kolmogorov_smirnov.boundary_crossing import REFERENCES_AT_A_TIME, false_alarm_rates
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.promises.window_samples import Alternative

FloatArray = npt.NDArray[np.float64]

SIMULATED_REFERENCES = 2048
"""References drawn; a share of 0.9 of them is then known to 0.7 percentage points."""

SEED = 20240301
"""Fixed, so that all workers of a monitor arrive at the same threshold."""

SMALLEST_RATE = 1e-12
"""Rates below this are not told apart; the crossing probability is no more exact than that."""


@dataclass(frozen=True)
class ReferenceLuck:
    """False-alarm rates of the references that one could have drawn.

    Attributes
    ----------
    pooled
        Mean over all references: the p-value's own promise.
    low, high
        Nine references of ten have a rate between these.
    """

    pooled: float
    low: float
    high: float


@lru_cache(maxsize=64)
def simulated_rates(n: int, m: int, statistic: int, two_sided: bool) -> FloatArray:
    """False-alarm rates of 2,048 random references, sorted, shape (2048,).

    Parameters
    ----------
    n, m
        Sizes of reference and window.
    statistic
        Smallest K-S statistic that alarms, in units of ``1 / lcm(n, m)``.
    two_sided
        Whether the alternative is ``two-sided``; ``higher`` and ``lower`` have the same rates.

    Notes
    -----
    References are uniform; the K-S test does not depend on the population. Each rate is computed, not
    simulated: see ``detectors.kolmogorov_smirnov.boundary_crossing``. The references are the same for every
    statistic.
    """
    rng = np.random.default_rng(SEED)
    alternative: Alternative = "two-sided" if two_sided else "higher"
    rates = []
    for _ in range(0, SIMULATED_REFERENCES, REFERENCES_AT_A_TIME):
        steps = np.cumsum(rng.standard_exponential((REFERENCES_AT_A_TIME, n + 1)), axis=1)
        rates.append(false_alarm_rates(steps[:, :-1] / steps[:, -1:], m, statistic, alternative))
    found = np.sort(np.concatenate(rates))
    found.setflags(write=False)
    return found


def reference_luck(n: int, m: int, level: float, two_sided: bool) -> ReferenceLuck:
    """Spread of the false-alarm rate over references when the pooled rate is at most ``level``.

    Parameters
    ----------
    n, m
        Sizes of reference and window.
    level
        False-alarm probability of a window, pooled over references, in (0, 1).
    two_sided
        Whether the alternative is ``two-sided``.
    """
    law = ks_null_law(n, m, two_sided)
    statistic = law.critical_value(level)
    rates = simulated_rates(n, m, statistic, two_sided)
    low, high = np.quantile(rates, [0.05, 0.95])
    return ReferenceLuck(float(law.p_values(statistic)), float(low), float(high))


def confident_statistic(n: int, m: int, level: float, confidence: float, two_sided: bool) -> int:
    """Smallest K-S statistic that keeps a rate for a given share of references.

    Parameters
    ----------
    n, m
        Sizes of reference and window.
    level
        Rate that is to be kept, in (0, 1).
    confidence
        Share of the references whose rate is at most ``level``, in (0, 1). One standard error of the
        simulation is added, so that its error falls on the safe side.
    two_sided
        Whether the alternative is ``two-sided``.

    Returns
    -------
    int
        In units of ``1 / lcm(n, m)``; ``lcm + 1`` if no statistic keeps it.
    """
    law = ks_null_law(n, m, two_sided)
    share = confidence + math.sqrt(confidence * (1.0 - confidence) / SIMULATED_REFERENCES)

    def excess(statistic: int) -> float:
        if statistic > law.lcm:
            return -math.inf
        rate = float(np.quantile(simulated_rates(n, m, statistic, two_sided), min(share, 1.0)))
        return math.log(max(rate, SMALLEST_RATE) / level)

    low, excess_low = 0, -math.log(level)
    high = min(law.critical_value(level), law.lcm)
    excess_high = excess(high)
    while excess_high > 0.0 and high <= law.lcm:
        low, excess_low = high, excess_high
        # The rate falls about as exp(-2 e d^2), so this lands a little beyond the root.
        effective = n * m / (n + m)
        d = math.sqrt((low / law.lcm) ** 2 + 1.2 * excess_low / (2.0 * effective))
        high = min(max(math.ceil(d * law.lcm), low + 1), law.lcm + 1)
        excess_high = excess(high)
    while high - low > 1 and excess_high < -0.01:
        if math.isinf(excess_high):
            middle = (low + high) // 2
        else:
            middle = low + round((high - low) * excess_low / (excess_low - excess_high))
        middle = min(max(middle, low + 1), high - 1)
        excess_middle = excess(middle)
        if excess_middle > 0.0:
            low, excess_low = middle, excess_middle
        else:
            high, excess_high = middle, excess_middle
    return high
