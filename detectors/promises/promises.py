"""From what a monitor promises about false alarms to the p-value below which a window has drifted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from detectors.arguments import check_number, check_positive_int
from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import ks_p_values, parse_method
from detectors.promises.reference_luck import confident_statistic, reference_luck
from detectors.promises.sliding_windows import level_for_new_alarms, overlapping_windows
from detectors.promises.window_samples import parse_alternative

SAME_P_VALUE = 1e-9
"""Relative difference below which p-values are the same: two computations of one agree to 1e-12."""

ENOUGH_WINDOWS_IN_REFERENCE = 10
"""A reference of this many windows has a rate within about a factor of 2 of the pooled one."""

LARGEST_WINDOW_FOR_LUCK = 200
"""Larger windows stand for this size: luck depends on n / m nearly alone, and its cost grows as m squared."""


@dataclass(frozen=True)
class Threshold:
    """When a window has drifted.

    P-values of the K-S test are discrete, so in general no threshold has exactly the wanted rate. It is met
    by also taking, at random, a share of the windows with the smallest p-value above the threshold. Whoever
    leaves these out stays below the rate, by no more than that p-value's own probability.

    Attributes
    ----------
    p_value
        A window has drifted if its p-value is below this; no window's p-value is near it.
    level
        Probability, pooled over references, that a clean window drifts.
    boundary
        Smallest p-value above ``p_value`` that a window can have; None if no share of these drifts.
    boundary_share
        Share of the windows with that p-value that have drifted as well, in [0, 1).
    """

    p_value: float
    level: float
    boundary: float | None = None
    boundary_share: float = 0.0

    def is_drift(self, p_value: npt.ArrayLike, uniform: npt.ArrayLike | None = None) -> npt.NDArray[np.bool_]:
        """Decide for each window.

        Parameters
        ----------
        p_value
            P-values, any shape.
        uniform
            Random numbers in [0, 1) for the windows on the boundary, such as ``uniform_of`` gives, of the
            same shape; without them none of these windows has drifted.
        """
        p = np.asarray(p_value, dtype=np.float64)
        below = p < self.p_value
        if uniform is None or self.boundary is None:
            return below
        on_boundary = np.abs(p - self.boundary) <= SAME_P_VALUE * self.boundary
        return below | (on_boundary & (np.asarray(uniform) < self.boundary_share))


def uniform_of(window_id: str) -> float:
    """Number in [0, 1) that depends on the window's name alone, so that a repeated verdict is the same."""
    return int.from_bytes(blake2b(window_id.encode(), digest_size=6).digest(), "big") / 2.0**48


def expected_run_time_threshold(
    windows: float,
    n: int,
    m: int,
    alternative: str = "higher",
    *,
    hop: int | None = None,
    confidence: float | None = None,
    quiet_windows: int | None = None,
    method: str = "auto",
) -> Threshold:
    """Threshold of a K-S monitor that raises one false alarm in so many windows.

    Parameters
    ----------
    windows
        Mean number of windows for each false alarm, above 1, pooled over references unless ``confidence`` is
        given.
    n, m
        Sizes of reference and window.
    alternative
        As in ``KolmogorovSmirnovTest``.
    hop
        Scores between the starts of two windows, at most m; m (tumbling windows) if None.
    confidence
        Share of the references that one could have drawn, in (0, 1), for which the promise is to hold: their
        own rate is then at most one false alarm in so many windows.
    quiet_windows
        A drifted window counts as a new alarm if none of so many windows before it drifted. All that overlap
        it if None: scores that two windows share raise one alarm. This is what a monitor announces that
        raises at once and resolves after so many clean windows.
    method
        Way in which the test computes its p-values, as in ``KolmogorovSmirnovTest``.

    Returns
    -------
    Threshold
        With ``confidence`` without a random share.

    Raises
    ------
    InvalidArgumentError
        If an argument is out of range; also if windows overlap and are larger than the reference, or their
        alarms cannot come as often as is wanted.

    Notes
    -----
    Tumbling windows drift with probability ``1 / T``, T the promised run-time, by the exact null law. With a
    confidence c the threshold is the largest at which ``P(rate of the reference <= 1 / T) >= c``, the rate of
    a reference being the probability that the order statistics of m uniforms leave a band. Where windows
    overlap, the share of drifted windows that begin an alarm is simulated (``new_alarm_share``); it depends
    on n, m and the hop alone, and is taken to be the same for all references. Results are remembered.

    References
    ----------
    A. Moscovich, B. Nadler (2017), "Fast calculation of boundary crossing probabilities for Poisson
    processes", Statistics and Probability Letters 123, 177-182. R. L. Smith, I. Weissman (1994), "Estimating
    the extremal index", Journal of the Royal Statistical Society B 56, 515-528.
    """
    windows = check_number(windows, "windows", 1.0)
    if windows == 1.0:
        raise InvalidArgumentError("windows is 1; it must be above 1, for else every window would alarm.")
    n, m = check_positive_int(n, "n"), check_positive_int(m, "m")
    hop = m if hop is None else check_positive_int(hop, "hop")
    if hop > m:
        raise InvalidArgumentError(f"hop is {hop}; it must be at most the window's size, {m}.")
    if quiet_windows is None:
        quiet_windows = overlapping_windows(m, hop)
    elif quiet_windows != 0:
        quiet_windows = check_positive_int(quiet_windows, "quiet_windows")
    if confidence is not None:
        confidence = check_number(confidence, "confidence", 0.0, 1.0)
        if confidence in (0.0, 1.0):
            raise InvalidArgumentError(f"confidence is {confidence:g}; it must lie between 0 and 1.")
    two_sided = parse_alternative(alternative, scipy_greater="higher") == "two-sided"
    return _threshold(windows, n, m, hop, confidence, quiet_windows, two_sided, parse_method(method))


@lru_cache(maxsize=1024)
def _threshold(
    windows: float,
    n: int,
    m: int,
    hop: int,
    confidence: float | None,
    quiet_windows: int,
    two_sided: bool,
    method: str,
) -> Threshold:
    law = ks_null_law(n, m, two_sided)
    level = 1.0 / windows
    if quiet_windows:
        level = level_for_new_alarms(windows, n, m, hop, quiet_windows, two_sided)
    if confidence is not None:
        statistic = confident_statistic(n, m, level, confidence, two_sided)
        level = float(law.p_values(statistic))
    # P-values are constant between two statistics that can occur, so the one below has the next p-value.
    statistic = law.critical_value(level * (1.0 + SAME_P_VALUE))
    below, boundary = ks_p_values(
        np.array([statistic, statistic - 1]), n, m, two_sided, parse_method(method)
    ).tolist()
    threshold = math.sqrt(below * boundary) if below > 0.0 else boundary / 2.0
    if confidence is not None:
        return Threshold(threshold, level)
    certain, with_boundary = law.p_values([statistic, statistic - 1]).tolist()
    share = max(level - certain, 0.0) / (with_boundary - certain)
    return Threshold(threshold, level, boundary, share)


def reference_size_warning(n: int, m: int, level: float, alternative: str = "higher") -> str | None:
    """Say by how much the false-alarm rate depends on luck, if the reference is under 10 times the window.

    Parameters
    ----------
    n, m
        Sizes of reference and window.
    level
        False-alarm probability of a window that is promised, in (0, 1).
    alternative
        As in ``KolmogorovSmirnovTest``.

    Returns
    -------
    str or None
        Two sentences, or None if the reference is large enough.

    Notes
    -----
    The luck of windows above 200 scores is that of 200 scores and a reference in proportion.
    """
    n, m = check_positive_int(n, "n"), check_positive_int(m, "m")
    if n >= ENOUGH_WINDOWS_IN_REFERENCE * m:
        return None
    two_sided = parse_alternative(alternative, scipy_greater="higher") == "two-sided"
    scale = min(LARGEST_WINDOW_FOR_LUCK / m, 1.0)
    luck = reference_luck(
        max(round(n * scale), 1), round(m * scale), check_number(level, "level", 0.0, 1.0), two_sided
    )
    return (
        f"The reference holds {n} scores, fewer than {ENOUGH_WINDOWS_IN_REFERENCE} windows of {m}: of ten "
        f"references drawn like it, nine raise between {luck.low / luck.pooled:.2g} and "
        f"{luck.high / luck.pooled:.2g} times the false alarms that are promised. Use at least "
        f"{ENOUGH_WINDOWS_IN_REFERENCE * m} scores, or promise a confidence."
    )
