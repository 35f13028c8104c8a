"""Measured figures with their 95 % confidence intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

TAIL = 0.025
"""Probability on either side of an interval."""


class Interval(NamedTuple):
    """A measured figure and its 95 % confidence interval; infinite where it has no bound."""

    value: float
    low: float
    high: float


def share_interval(count: float, trials: float) -> Interval:
    """Share of trials, with the interval of C. J. Clopper and E. S. Pearson (1934), Biometrika 26, 404-413.

    Numbers need not be whole, so that dependent trials can be counted as the fewer independent ones that they
    are worth.
    """
    low = float(stats.beta.ppf(TAIL, count, trials - count + 1)) if count > 0 else 0.0
    high = float(stats.beta.ppf(1.0 - TAIL, count + 1, trials - count)) if count < trials else 1.0
    return Interval(count / trials, low, high)


def count_interval(count: int, exposure: int) -> Interval:
    """Exposure for each of some events that come at random.

    The interval is that of F. Garwood (1936), Biometrika 28, 437-442, for a Poisson mean.
    """
    most = float(stats.chi2.ppf(1.0 - TAIL, 2 * count + 2)) / 2.0
    if count == 0:
        return Interval(math.inf, exposure / most, math.inf)
    fewest = float(stats.chi2.ppf(TAIL, 2 * count)) / 2.0
    return Interval(exposure / count, exposure / most, exposure / fewest)


def mean_interval(values: npt.NDArray[np.float64]) -> Interval:
    """Mean of values that are not negative, shape (k,), with the interval of Student's t from 0 on.

    A single value leaves it unbounded.
    """
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, 0.0, math.inf)
    half = (
        float(stats.t.ppf(1.0 - TAIL, len(values) - 1)) * float(values.std(ddof=1)) / math.sqrt(len(values))
    )
    return Interval(mean, max(0.0, mean - half), mean + half)
