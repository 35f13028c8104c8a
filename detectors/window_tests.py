"""The interface of a test of score windows against a fixed reference, and the tests by name."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from detectors.cusum.rank_cusum import RankCusumTest
from detectors.errors import InvalidArgumentError
from detectors.flagged_fraction import FlaggedFractionTest
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
from detectors.promises.window_samples import Alternative, WindowTestResult
from detectors.rank_tests import AndersonDarlingTest, CramerVonMisesTest, MannWhitneyTest

__all__ = ["WINDOW_TESTS", "Alternative", "WindowTest", "WindowTestResult", "window_test"]


class WindowTest(Protocol):
    """Tests whether the scores of a window come from the distribution of the reference.

    Attributes
    ----------
    name
        Name of the test, the same as the scipy function's.
    alternative
        ``higher`` (detects windows with larger scores than the reference's), ``lower`` or ``two-sided``.
    reference
        Sorted scores, float64, shape (n,).
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def alternative(self) -> Alternative: ...  # noqa: D102

    @property
    def reference(self) -> npt.NDArray[np.float64]: ...  # noqa: D102

    def test(self, windows: npt.ArrayLike) -> WindowTestResult:
        """Test each row of ``windows``, shape (k, m); raises ``InvalidArgumentError`` on a NaN."""
        ...


WINDOW_TESTS = {
    test.name: test
    for test in (
        KolmogorovSmirnovTest,
        CramerVonMisesTest,
        MannWhitneyTest,
        AndersonDarlingTest,
        RankCusumTest,
        FlaggedFractionTest,
    )
}
"""Every window test by its name."""


def window_test(name: str, reference: npt.ArrayLike, alternative: str = "two-sided") -> WindowTest:
    """Make a window test by name.

    Parameters
    ----------
    name
        One of ``WINDOW_TESTS``: ``ks_2samp``, ``cramervonmises_2samp``, ``mannwhitneyu``, ``anderson_ksamp``,
        ``rank_cusum`` or ``flagged_fraction``.
    reference
        Scores of a clean sample, shape (n,), any order.
    alternative
        ``higher``, ``lower`` or ``two-sided``; or scipy's ``greater`` and ``less``, meaning what they mean in
        the scipy function of that name, called with the reference first.

    Raises
    ------
    InvalidArgumentError
        If there is no such test, the test cannot have that alternative, or the reference is not usable.
    """
    if name not in WINDOW_TESTS:
        raise InvalidArgumentError(
            f"There is no window test {name!r}; choose one of {', '.join(WINDOW_TESTS)}."
        )
    return WINDOW_TESTS[name](reference, alternative)
