"""Instances of any shape as a matrix of features, and features sorted one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError

FloatArray = npt.NDArray[np.float64]


def instances_array(x: Any, what: str) -> npt.NDArray[Any]:
    """Instances as an array of shape (n, ...), n at least 1.

    Raises
    ------
    InvalidArgumentError
        If ``x``, which the message calls ``what``, is empty, a scalar or ragged.
    """
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise InvalidArgumentError(f"{what} must be an array, one row an instance: {error}.") from error
    if array.ndim == 0 or len(array) == 0:
        raise InvalidArgumentError(f"{what} must hold at least one instance; got shape {array.shape}.")
    return array


def feature_matrix(x: Any, what: str) -> FloatArray:
    """Flatten instances to features, float64, shape (n, f).

    Raises
    ------
    InvalidArgumentError
        If ``x``, which the message calls ``what``, is empty or not numeric.
    """
    array = instances_array(x, what)
    if array.dtype.kind not in "fiub":
        raise InvalidArgumentError(
            f"{what} must hold numbers, not values of dtype {array.dtype}; "
            "a preprocess_fn can turn other data into numbers."
        )
    if array.size == 0:
        raise InvalidArgumentError(f"{what} has no features: its shape is {array.shape}.")
    return array.reshape(len(array), -1).astype(np.float64, copy=False)


def sorted_features(features: FloatArray, what: str) -> FloatArray:
    """Sort each of the features of shape (n, f) by itself; one row a feature, shape (f, n).

    Raises
    ------
    InvalidArgumentError
        If a value is NaN.
    """
    columns = np.sort(features.T, axis=1)
    # NaN sorts last, so the last column tells.
    bad = np.flatnonzero(np.isnan(columns[:, -1]))
    if bad.size:
        raise InvalidArgumentError(
            f"Feature {int(bad[0])} of {what} holds a NaN ({bad.size} of {len(columns)} features do); "
            "every value must be a number."
        )
    return columns
