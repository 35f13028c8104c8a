"""What every window test takes in and gives back: a sorted reference, a matrix of windows, a result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError

Alternative: TypeAlias = Literal["two-sided", "higher", "lower"]

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "higher", "lower")


@dataclass(frozen=True)
class WindowTestResult:
    """Outcome of testing k windows against one reference.

    Attributes
    ----------
    statistic
        Test statistic of each window, float64, shape (k,).
    p_value
        Probability, if nothing has drifted, of a statistic at least as extreme, float64, shape (k,).
    """

    statistic: npt.NDArray[np.float64]
    p_value: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.p_value)


def parse_alternative(name: str, scipy_greater: Alternative) -> Alternative:
    """Read the name of an alternative hypothesis.

    Parameters
    ----------
    name
        ``higher`` (window scores are larger than the reference's), ``lower``, ``two-sided``; or scipy's
        ``greater`` and ``less``, which then mean what they mean in
        ``scipy.stats.<test>(reference, window, alternative=...)``.
    scipy_greater
        Which of ours that test's ``greater`` is. It differs: ``ks_2samp`` speaks of distribution functions,
        so that ``greater`` finds windows with larger scores; ``mannwhitneyu`` speaks of values, so that
        ``greater`` finds windows with smaller ones.

    Raises
    ------
    InvalidArgumentError
        If there is no such alternative.
    """
    for known in ALTERNATIVES:
        if name == known:
            return known
    scipy_less: Alternative = "lower" if scipy_greater == "higher" else "higher"
    if name in ("greater", "less"):
        return scipy_greater if name == "greater" else scipy_less
    raise InvalidArgumentError(
        f"There is no alternative {name!r}; choose 'higher' (scores got higher), 'lower' or 'two-sided', "
        "or scipy's 'greater' or 'less'."
    )


def sorted_reference(reference: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Sort the reference scores into a read-only float64 array of shape (n,).

    Raises
    ------
    InvalidArgumentError
        If the reference is not one-dimensional, is empty, is not numeric or holds a NaN.
    """
    scores = _as_float64(reference, "The reference")
    if scores.ndim != 1 or scores.size == 0:
        raise InvalidArgumentError(
            f"The reference must be a one-dimensional array of at least one score; got shape {scores.shape}."
        )
    scores = np.sort(scores)
    if np.isnan(scores[-1]):
        raise InvalidArgumentError(
            f"The reference holds {int(np.isnan(scores).sum())} NaN among its {scores.size} scores; "
            "every score must be a number."
        )
    scores.setflags(write=False)
    return scores


def sorted_windows(windows: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Sort the scores of each window, float64, shape (k, m).

    Raises
    ------
    InvalidArgumentError
        If ``windows`` is not two-dimensional, has no columns, is not numeric or holds a NaN.
    """
    scores = _as_float64(windows, "A batch of windows")
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise InvalidArgumentError(
            "Windows must be an array of shape (k, m), one window a row and m at least 1; "
            f"got shape {scores.shape}."
        )
    scores = np.sort(scores, axis=1)
    # NaN sorts last, so the last column tells.
    bad = np.flatnonzero(np.isnan(scores[:, -1]))
    if bad.size:
        raise InvalidArgumentError(
            f"Window {int(bad[0])} holds a NaN score ({bad.size} of {len(scores)} windows do); "
            "a window with one cannot be tested."
        )
    return scores


def _as_float64(scores: npt.ArrayLike, what: str) -> npt.NDArray[np.float64]:
    try:
        array = np.asarray(scores)
    except ValueError as error:
        raise InvalidArgumentError(f"{what} must be a rectangular array of numbers: {error}.") from error
    if array.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"{what} must hold numbers, not values of dtype {array.dtype}.")
    return array.astype(np.float64, copy=False)
