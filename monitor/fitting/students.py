"""Students to distil a classifier into, for users who bring none: small, of built-in layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from monitor.errors import SetupError

DENSE_UNITS = 32
CONVOLUTION_FILTERS = (64, 32)
KERNEL = 4
STRIDE = 2
"""As in the published CIFAR-10 study (filters of 256, 128 and 64 there), with fewer filters: a student is to
be cheaper than its teacher, and must not follow it where the inputs leave what both have seen."""

CONSTANT = 1e-3
"""A feature that varies less than this share of the typical one is scaled like the typical one. Scaled by its
own spread, a pixel that is always dark would blind the student the moment it lights up."""


def build_student(X: npt.NDArray[Any], n_classes: int) -> Any:
    """Build an untrained student.

    Parameters
    ----------
    X
        Training instances: tables (n, d), sequences (n, t, d) or images (n, h, w, c).
    n_classes
        Number of classes, k.

    Returns
    -------
    tf.keras.Model
        Scaling to zero mean and unit variance by feature or channel, then one dense hidden layer for tables
        or two convolutions otherwise, then a softmax.

    Raises
    ------
    SetupError
        If instances are of another rank.
    """
    layers = tf.keras.layers
    body: list[Any]
    if X.ndim == 2:
        body = [layers.Dense(DENSE_UNITS, activation="relu")]
    elif X.ndim in (3, 4):
        convolution = layers.Conv1D if X.ndim == 3 else layers.Conv2D
        body = [
            convolution(filters, KERNEL, strides=STRIDE, padding="same", activation="relu")
            for filters in CONVOLUTION_FILTERS
        ]
        body.append(layers.Flatten())
    else:
        raise SetupError(
            f"There is no default student for instances of shape {X.shape[1:]}; bring one with --student."
        )
    mean, variance = _scaling(X)
    return tf.keras.Sequential(
        [
            tf.keras.Input(X.shape[1:]),
            layers.Normalization(axis=-1, mean=mean, variance=variance),
            *body,
            layers.Dense(n_classes, activation="softmax"),
        ],
        name="student",
    )


def _scaling(X: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and variance of each feature or channel, shape (d,)."""
    axes = tuple(range(X.ndim - 1))
    mean = np.atleast_1d(np.mean(X, axis=axes, dtype=np.float64))
    variance = np.atleast_1d(np.var(X, axis=axes, dtype=np.float64))
    typical = float(np.mean(variance)) or 1.0
    return mean, np.where(variance < CONSTANT**2 * typical, typical, variance)
