"""What every codec demands of numbers, checked for whole columns at once.

The masks decide; the ``explain_...`` functions put into words what is wrong with a row that a mask refused.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.codecs.rejection import shown
from streams.events import PREDICTION_SUM_TOLERANCE

Numbers = npt.NDArray[np.floating] | npt.NDArray[np.integer]


def to_float32(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Cast to float32; what is too large becomes infinite, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


def finite_rows(values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which rows of ``values``, shape (n, k), hold neither NaN nor infinity; shape (n,)."""
    finite = np.isfinite(values)
    if finite.all():
        return np.ones(len(values), dtype=np.bool_)
    return np.asarray(finite.all(axis=1))


def distribution_rows(predictions: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which rows of ``predictions``, shape (n, n_classes), are distributions; shape (n,).

    A distribution has no negative entry and sums, in float64, to 1 within ``PREDICTION_SUM_TOLERANCE``. Rows
    with NaN or infinity are none.
    """
    n_classes = predictions.shape[1]
    # A product with ones adds up short rows several times faster than a sum along the axis.
    with np.errstate(invalid="ignore", over="ignore"):
        sums = predictions.astype(np.float64) @ np.ones(n_classes)
        good = np.asarray(np.abs(sums - 1.0) <= PREDICTION_SUM_TOLERANCE)
    if predictions.size and not predictions.min() >= 0:
        good &= (predictions >= 0).all(axis=1)
    return good


def explain_not_finite(name: str, values: npt.NDArray[np.generic], shape: tuple[int, ...]) -> str:
    """Say which number of ``values``, before its cast to float32, is not finite after it.

    Parameters
    ----------
    name
        What the numbers are, such as "field 'instance'".
    values
        The numbers as they came, flat.
    shape
        Shape in which the position is told.
    """
    first = int(np.flatnonzero(~np.isfinite(to_float32(values)))[0])
    value = float(values[first])
    position = [int(index) for index in np.unravel_index(first, shape)]
    fault = "too large for float32" if np.isfinite(value) else "not finite"
    return f"The {name} has {value!r} at position {position}, which is {fault}; expected finite numbers."


def explain_not_distribution(name: str, prediction: npt.NDArray[np.float32]) -> str:
    """Say why one ``prediction``, shape (n_classes,), is not a distribution."""
    negative = np.flatnonzero(prediction < 0)
    if len(negative):
        position = int(negative[0])
        return (
            f"The {name} has {shown(float(prediction[position]))} at position [{position}], "
            "expected probabilities, which are not negative."
        )
    total = float(prediction.astype(np.float64).sum())
    return f"The {name} sums to {total:.6g}, expected 1 within {PREDICTION_SUM_TOLERANCE:g}."
