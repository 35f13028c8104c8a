"""Corrections for testing many features at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def bonferroni(p_values: npt.NDArray[np.float64], p_val: float) -> tuple[bool, float]:
    """Decide whether any feature has drifted, with the probability of a false alarm at most ``p_val``.

    Parameters
    ----------
    p_values
        One p-value a feature, shape (f,).
    p_val
        Significance level of the decision as a whole.

    Returns
    -------
    tuple[bool, float]
        Whether some p-value is below the threshold, and the threshold ``p_val / f``.

    References
    ----------
    O. J. Dunn (1961), "Multiple comparisons among means", Journal of the American Statistical Association 56,
    52-64.
    """
    threshold = p_val / p_values.size
    return bool((p_values < threshold).any()), threshold


def benjamini_hochberg(p_values: npt.NDArray[np.float64], q_val: float) -> tuple[bool, float]:
    """Decide whether any feature has drifted, with the false discovery rate controlled at ``q_val``.

    Parameters
    ----------
    p_values
        One p-value a feature, shape (f,).
    q_val
        False discovery rate.

    Returns
    -------
    tuple[bool, float]
        Whether any feature is discovered, and the threshold below which p-values are: ``q_val * k / f`` for
        the largest k such that the k-th smallest p-value is below it, or ``q_val / f`` if there is none.

    References
    ----------
    Y. Benjamini, Y. Hochberg (1995), "Controlling the false discovery rate", Journal of the Royal Statistical
    Society B 57, 289-300.
    """
    thresholds = q_val * np.arange(1, p_values.size + 1) / p_values.size
    below = np.flatnonzero(np.sort(p_values) < thresholds)
    if below.size == 0:
        return False, float(thresholds[0])
    return True, float(thresholds[below[-1]])
