"""Window test ``mean_shift``: whether a window's mean score is the reference's, roughly normal."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from detectors.window_tests import Alternative, WindowTestResult


class MeanShiftTest:
    """A z-test of window means; constructed with the reference's scores and the monitor's ``alternative``."""

    name = "mean_shift"

    def __init__(self, reference: npt.ArrayLike, alternative: Alternative = "higher") -> None:
        self.reference = np.sort(np.asarray(reference, dtype=np.float64))
        self.alternative: Alternative = alternative

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m)."""
        scores = np.asarray(windows, dtype=np.float64)
        error = self.reference.std(ddof=1) * np.sqrt(1 / scores.shape[1] + 1 / len(self.reference))
        z = (scores.mean(axis=1) - self.reference.mean()) / error
        tails = {"higher": norm.sf(z), "lower": norm.cdf(z), "two-sided": 2 * norm.sf(np.abs(z))}
        return WindowTestResult(statistic=z, p_value=tails[self.alternative])
