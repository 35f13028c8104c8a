"""False-alarm rate of a K-S test against one given reference, computed exactly.

A monitor tests every window against the same reference, so its windows raise false alarms at that reference's
own rate. The p-value averages over references; this module does not.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import poisson

from detectors.promises.window_samples import Alternative

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

REFERENCES_AT_A_TIME = 256
"""References that are followed together; more no longer fit the CPU's cache."""

NEGLIGIBLE = 1e-13
"""Probability that is left out of a sum whose result is wanted to about 1e-9."""

LONGEST_STEP = 500.0
"""Largest mean of a Poisson step; exp(-500) is still far from underflow."""


def false_alarm_rates(positions: FloatArray, m: int, statistic: int, alternative: Alternative) -> FloatArray:
    """Probability that a clean window alarms, for each of many references.

    Parameters
    ----------
    positions
        Where the sorted scores of each reference lie in the population, as probabilities: the population's
        distribution function at each score. Shape (r, n), each row sorted.
    m
        Window size.
    statistic
        Smallest K-S statistic that alarms, in units of ``1 / lcm(n, m)``.
    alternative
        Alternative hypothesis of the test.

    Returns
    -------
    FloatArray
        Rates, shape (r,), to an absolute error of about 1e-10.

    Notes
    -----
    Given the reference, a window raises no alarm if and only if the order statistics of m uniform numbers
    stay between two boundaries, ``a_i <= U_(i) <= b_i``, each a position of a fixed order statistic of the
    reference. The number of uniforms below t is a Poisson process conditioned on its end; its distribution is
    carried from boundary point to boundary point.

    References
    ----------
    M. Noé (1972), "The calculation of distributions of two-sided Kolmogorov-Smirnov type statistics", Annals
    of Mathematical Statistics 43, 58-64. A. Moscovich, B. Nadler (2017), "Fast calculation of boundary
    crossing probabilities for Poisson processes", Statistics and Probability Letters 123, 177-182.
    """
    r, n = positions.shape
    index, least, most = _constraints(n, m, statistic, alternative)
    rates = np.empty(r)
    for start in range(0, r, REFERENCES_AT_A_TIME):
        chunk = positions[start : start + REFERENCES_AT_A_TIME]
        times = m * np.concatenate([chunk[:, index], np.ones((len(chunk), 1))], axis=1)
        rates[start : start + len(chunk)] = 1.0 - _staying_inside(times.T, least, most, m)
    return np.clip(rates, 0.0, 1.0)


def _constraints(
    n: int, m: int, statistic: int, alternative: Alternative
) -> tuple[IntArray, IntArray, IntArray]:
    """Where in the reference the window's count is bounded, and by what.

    Returns
    -------
    tuple[IntArray, IntArray, IntArray]
        Increasing indices into the sorted reference, and the least and the most window scores that may lie
        below the reference score there; the two last have one entry more, for the end, where the count is m.
    """
    gcd, lcm = math.gcd(n, m), math.lcm(n, m)
    per_reference, per_window = m // gcd, n // gcd
    # The side that raises no alarm gets a bound too far away to matter, which keeps the band narrow.
    effective = n * m / (n + m)
    far = min(math.ceil(lcm * math.sqrt(-math.log(NEGLIGIBLE) / (2.0 * effective))), lcm + 1)
    higher = statistic if alternative != "lower" else far
    lower = statistic if alternative != "higher" else far
    place = np.arange(m, dtype=np.int64)
    # Score i (from 0) must not lie above the reference score with index upper[i], nor below that of lower[i].
    upper_index = -(-(higher + place * per_window) // per_reference) - 1
    lower_index = ((place + 1) * per_window - lower) // per_reference
    index = np.unique(np.concatenate([upper_index[upper_index < n], lower_index[lower_index >= 0]]))
    least = np.searchsorted(upper_index, index, side="right")
    most = np.searchsorted(lower_index, index, side="left")
    return index, np.append(least, m), np.append(most, m)


def _staying_inside(times: FloatArray, least: IntArray, most: IntArray, m: int) -> FloatArray:
    """Probability that a Poisson process which ends at m keeps to its bounds, shape (r,).

    ``times`` are the expected counts at the bounds, shape (b, r); ``least`` and ``most`` have shape (b,).
    """
    if (least > most).any():
        return np.zeros(times.shape[1])
    mass = np.ones((1, times.shape[1]))
    lowest, now = 0, np.zeros(times.shape[1])
    for time, low, high in zip(times, least, most, strict=True):
        step = time - now
        now = time
        parts = max(1, math.ceil(step.max() / LONGEST_STEP))
        for part in range(parts, 0, -1):
            new_lowest = int(low) if part == 1 else lowest
            mass = _advance(mass, step / parts, new_lowest - lowest, int(high) - lowest)
            lowest = new_lowest
    return np.asarray(mass[0] / poisson.pmf(m, m), dtype=np.float64)


def _advance(mass: FloatArray, mean: FloatArray, low: int, high: int) -> FloatArray:
    """Convolve with a Poisson distribution and keep the counts from ``low`` to ``high``.

    ``mass`` has one row a count, shape (w, r), and ``mean`` shape (r,); counts are relative to its first row.
    """
    width = len(mass)
    advanced = np.zeros((high - low + 1, mass.shape[1]))
    product = np.empty_like(mass)
    largest = float(mean.max())
    furthest = min(high, int(poisson.isf(NEGLIGIBLE, largest)) + 1)
    weight = np.exp(-mean)
    for jump in range(furthest + 1):
        if jump:
            weight = weight * (mean / jump)
        first, last = max(low - jump, 0), min(high - jump, width - 1)
        if first <= last:
            part = np.multiply(mass[first : last + 1], weight, out=product[: last - first + 1])
            advanced[first + jump - low : last + jump - low + 1] += part
    return advanced
