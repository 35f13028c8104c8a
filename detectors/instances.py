"""What users hand in as instances and predictions, read into arrays that the models can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError

Float32Array: TypeAlias = npt.NDArray[np.float32]
InputShape: TypeAlias = tuple[int | None, ...]
"""Shape of one instance; None where a length may vary."""

DEFAULT_BATCH_SIZE = 128
"""Instances per compiled call: large enough for a CPU, while the activations of an image model stay small."""

SUM_TOLERANCE = 1e-3
"""How far a prediction's sum may be from 1: float16 softmax outputs of a thousand classes still pass."""

NUMERIC_KINDS = "biuf"


def read_numbers(values: Any, name: str) -> npt.NDArray[Any]:
    """Read anything that numpy can read as numbers, without copying what is an array already.

    Parameters
    ----------
    values
        Array, tensor, data frame, nested list ...
    name
        What to call it in an error.

    Raises
    ------
    InvalidArgumentError
        If it is ragged or holds something else than real numbers.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError(
            f"{name} cannot be read as one array ({error}); give instances of equal shape."
        ) from error
    if array.dtype.kind not in NUMERIC_KINDS:
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}; it must hold real numbers.")
    return array


def read_instances(values: Any, input_shape: InputShape, name: str = "X") -> npt.NDArray[Any]:
    """Read instances and check their shape; `float32_batches` converts them.

    Parameters
    ----------
    values
        n instances, shape (n, *input_shape), in anything that numpy can read.
    input_shape
        Shape of one instance.
    name
        What to call them in an error.

    Raises
    ------
    InvalidArgumentError
        If there is no instance, the shape is another, or they are not numbers.
    """
    array = read_numbers(values, name)
    if not fits(array.shape[1:], input_shape):
        expected = f"(n, {', '.join('any' if size is None else str(size) for size in input_shape)})"
        hint = ""
        if fits(array.shape, input_shape):
            hint = " For a single instance add the batch axis: instance[None]."
        raise InvalidArgumentError(f"{name} has shape {array.shape}; it must be {expected}.{hint}")
    if len(array) == 0:
        raise InvalidArgumentError(f"{name} is empty; it must hold at least one instance.")
    return array


def fits(shape: tuple[int, ...], input_shape: InputShape) -> bool:
    """Tell whether an array of ``shape`` is an instance of ``input_shape``."""
    return len(shape) == len(input_shape) and all(
        wanted is None or size == wanted for size, wanted in zip(shape, input_shape, strict=True)
    )


def float32_batches(
    array: npt.NDArray[Any], batch_size: int, name: str = "X"
) -> Iterator[tuple[slice, Float32Array]]:
    """Cut an array into batches of finite float32 numbers.

    Parameters
    ----------
    array
        Numbers, shape (n, ...); may be a memory map, since one batch is converted at a time.
    batch_size
        Rows per batch, at least 1.
    name
        What to call it in an error.

    Yields
    ------
    rows, batch
        Where the batch stands in ``array``, and the batch in C order.

    Raises
    ------
    InvalidArgumentError
        If a number is NaN or infinite, or becomes infinite as float32.
    """
    for start in range(0, len(array), batch_size):
        rows = slice(start, min(start + batch_size, len(array)))
        with np.errstate(over="ignore"):
            batch = np.ascontiguousarray(array[rows], dtype=np.float32)
        if not np.isfinite(batch).all():
            bad = start + int(np.argmin(np.isfinite(batch).reshape(len(batch), -1).all(axis=1)))
            raise InvalidArgumentError(
                f"{name} holds NaN, infinity or a number too large for float32 in row {bad}; "
                "every number must be finite."
            )
        yield rows, batch


def read_predictions(values: Any, n: int, n_classes: int) -> Float32Array:
    """Read predictions that are already known.

    Parameters
    ----------
    values
        Class probabilities, shape (n, n_classes).
    n
        Number of instances they belong to.
    n_classes
        Number of classes of the detector.

    Raises
    ------
    InvalidArgumentError
        If the shape is another or a row is no distribution.
    """
    array = read_numbers(values, "predictions")
    if array.shape != (n, n_classes):
        raise InvalidArgumentError(
            f"predictions has shape {array.shape}; it must be ({n}, {n_classes}), a probability per instance "
            "and class."
        )
    predictions = array.astype(np.float32, copy=False)
    check_distributions(predictions, "predictions", "logits must go through a softmax first")
    return predictions


def check_distributions(y: npt.NDArray[Any], name: str, advice: str, first_row: int = 0) -> None:
    """Refuse rows that are no probability distributions.

    Parameters
    ----------
    y
        Class probabilities, shape (n, k).
    name
        Where they come from, for the error.
    advice
        What would be right, for the error.
    first_row
        Number of the first row, for the error.

    Raises
    ------
    InvalidArgumentError
        If a row has NaN, an entry below zero, or a sum that is not 1 within 1e-3.
    """
    totals = y.sum(axis=1, dtype=np.float64)
    good = (y >= 0).all(axis=1) & (np.abs(totals - 1.0) <= SUM_TOLERANCE)
    if good.all():
        return
    row = int(np.argmin(good))
    if not np.isfinite(y[row]).all():
        fault = "it holds NaN or infinity"
    elif (y[row] < 0).any():
        fault = f"it has a negative entry, {y[row].min():.4g}"
    else:
        fault = f"it sums to {totals[row]:.4g}"
    raise InvalidArgumentError(
        f"Row {first_row + row} of {name} is not a probability distribution: {fault}; {advice}."
    )


def preprocessed(values: Any, preprocess_fn: Callable[[Any], Any], batch_size: int) -> npt.NDArray[Any]:
    """Apply a function to batches of instances, each once.

    Parameters
    ----------
    values
        n instances, in anything that numpy can read.
    preprocess_fn
        Maps a batch to as many preprocessed instances.
    batch_size
        Instances per call.

    Returns
    -------
    ndarray
        Preprocessed instances, shape (n, ...).

    Raises
    ------
    InvalidArgumentError
        If there is no instance, or the function gives another number of instances than it got.
    """
    array = read_numbers(values, "X")
    if array.ndim == 0 or len(array) == 0:
        raise InvalidArgumentError("X is empty; it must hold at least one instance.")
    parts = []
    for start in range(0, len(array), batch_size):
        batch = array[start : start + batch_size]
        part = read_numbers(preprocess_fn(batch), "the result of preprocess_fn")
        if part.ndim == 0 or len(part) != len(batch):
            raise InvalidArgumentError(
                f"preprocess_fn turned {len(batch)} instances into an array of shape {part.shape}; it must "
                "keep their number."
            )
        parts.append(part)
    return np.concatenate(parts)
