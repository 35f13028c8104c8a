"""The K-S distance from which a window counts as drifted: the p-value's threshold from the other side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from detectors.kolmogorov_smirnov.ks_test import KSMethod, ks_p_values
from monitor.verdicts.verdict import Verdict

MOST_CELLS = 1_000_000
"""Reference size times window size up to which the exact law takes milliseconds; it is asymptotic beyond."""

MOST_EXACT = 16
"""Different thresholds of one segment up to which each is worth the exact law."""


def critical_distances(
    verdicts: Sequence[Verdict], sizes: dict[str, int], alternative: str
) -> list[float | None]:
    """Return the smallest K-S distance that has a p-value below each verdict's threshold.

    Parameters
    ----------
    verdicts
        Verdicts of one segment.
    sizes
        Number of scores of each reference by version; None comes of a verdict whose reference is not there.
    alternative
        Direction of the test.
    """
    questions = {(verdict.threshold, sizes.get(verdict.reference), verdict.size) for verdict in verdicts}
    exact = len(questions) <= MOST_EXACT
    two_sided = alternative == "two-sided"
    answers = {
        (threshold, n, m): None if n is None else critical_distance(threshold, n, m, two_sided, exact)
        for threshold, n, m in questions
    }
    return [answers[v.threshold, sizes.get(v.reference), v.size] for v in verdicts]


@lru_cache(maxsize=4096)
def critical_distance(threshold: float, n: int, m: int, two_sided: bool, exact: bool = True) -> float | None:
    """Return the smallest distance between samples of n and m with a p-value below a threshold.

    Parameters
    ----------
    threshold
        p-value.
    n, m
        Sizes of the reference and of the window.
    two_sided
        Whether both directions count.
    exact
        Whether to use the exact law where it is quick.

    Returns
    -------
    float or None
        None when not even samples that do not overlap have such a p-value.
    """
    method: KSMethod = "auto" if exact and n * m <= MOST_CELLS else "asymp"
    # Distances are multiples of 1 / lcm(n, m), and p-values fall as they grow.
    steps = math.lcm(n, m)
    above, at_most = 0, steps

    def drifts(step: int) -> bool:
        return bool(ks_p_values(np.array([step], dtype=np.int64), n, m, two_sided, method)[0] < threshold)

    if not drifts(steps):
        return None
    while at_most - above > 1:
        middle = (above + at_most) // 2
        if drifts(middle):
            at_most = middle
        else:
            above = middle
    return at_most / steps
