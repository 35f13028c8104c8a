"""Bonferroni and Benjamini-Hochberg on worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from detectors.corrections import benjamini_hochberg, bonferroni


def test_bonferroni_divides_the_level() -> None:
    assert bonferroni(np.array([0.02, 0.5, 0.9, 0.4]), 0.05) == (False, 0.0125)
    assert bonferroni(np.array([0.01, 0.5, 0.9, 0.4]), 0.05) == (True, 0.0125)


def test_benjamini_hochberg_returns_the_level_of_the_last_discovery() -> None:
    # Sorted: 0.011, 0.024, 0.3, 0.9 against 0.0125, 0.025, 0.0375, 0.05; two are discovered.
    drifted, threshold = benjamini_hochberg(np.array([0.3, 0.024, 0.9, 0.011]), 0.05)
    assert drifted
    assert threshold == pytest.approx(0.025)


def test_benjamini_hochberg_steps_up_over_a_p_value_above_its_own_level() -> None:
    drifted, threshold = benjamini_hochberg(np.array([0.02, 0.021, 0.022]), 0.03)
    assert drifted
    assert threshold == pytest.approx(0.03)


def test_benjamini_hochberg_without_discovery_returns_the_smallest_level() -> None:
    assert benjamini_hochberg(np.array([0.3, 0.4]), 0.05) == (False, 0.025)


def test_benjamini_hochberg_decides_as_scipys_adjusted_p_values_do() -> None:
    rng = np.random.default_rng(0)
    for p_values in rng.beta(0.3, 1.0, size=(200, 12)) ** 2 + 1e-3:
        p_values = np.minimum(p_values, 1.0)
        adjusted = false_discovery_control(p_values)
        drifted, threshold = benjamini_hochberg(p_values, 0.1)
        assert drifted == (adjusted < 0.1).any()
        if drifted:
            np.testing.assert_array_equal(p_values < threshold, adjusted < 0.1)
