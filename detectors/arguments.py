"""Checks of plain arguments, so that a wrong one is named where it is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.errors import InvalidArgumentError


def check_positive_int(value: Any, name: str) -> int:
    """Return ``value`` as an int.

    Raises
    ------
    InvalidArgumentError
        If it is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be a whole number of at least 1.")
    return int(value)


def check_number(value: Any, name: str, low: float = -np.inf, high: float = np.inf) -> float:
    """Return ``value`` as a finite float.

    Raises
    ------
    InvalidArgumentError
        If it is not a finite real number in [low, high].
    """
    bounded = not (np.isinf(low) and np.isinf(high))
    wanted = f"a number from {low:g} to {high:g}" if bounded else "a finite number"
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InvalidArgumentError(f"{name} is {value!r}; it must be {wanted}.")
    number = float(value)
    if not np.isfinite(number) or not low <= number <= high:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be {wanted}.")
    return number
