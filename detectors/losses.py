"""The harmfulness score: distillation losses between a teacher's and a student's class probabilities.

Each formula stands here twice: in float64 numpy, which is the definition, and for a TensorFlow graph, which
is what scores a stream. Scoring graphs use float64 too: over a few classes that costs nothing next to the
models, and it keeps compiled scores equal to the definition even where probabilities nearly cancel.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from detectors.errors import InvalidArgumentError

LossType = Literal["kld", "xent"]
LOSS_TYPES: tuple[str, ...] = get_args(LossType)

EPSILON = 1e-7
"""Where probabilities are clipped; the default of ``keras.config.epsilon()``, fixed so that scores are."""

FloatArray: TypeAlias = npt.NDArray[np.float64]
Tensor: TypeAlias = Any


def temper(y: npt.ArrayLike, temperature: float = 1.0) -> FloatArray:
    r"""Soften or sharpen class probabilities: ``y ** (1 / temperature)``, renormalised to sum to 1.

    Parameters
    ----------
    y
        Probabilities, shape (n, k) or (k,); each row is taken up to a factor.
    temperature
        Positive; above 1 the distribution becomes flatter, below 1 sharper.

    Returns
    -------
    ndarray
        float64, shape of ``y``. A row of zeros stays a row of zeros.

    Notes
    -----
    :math:`y_T = y^{1/T} / \sum_j y_j^{1/T}`, the temperature of Hinton, Vinyals and Dean, "Distilling the
    Knowledge in a Neural Network" (2015), applied to probabilities instead of logits. It is computed from
    :math:`(\log y - \max \log y) / T`, so that small temperatures do not underflow.

    Examples
    --------
    >>> temper([[0.8, 0.2]], temperature=0.5).round(4)
    array([[0.9412, 0.0588]])
    """
    y = np.asarray(y, dtype=np.float64)
    top = y.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        relative = np.log(y / np.where(top > 0, top, 1.0))
    powers = np.exp(relative / temperature)
    return np.asarray(powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1.0))


def kld(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> FloatArray:
    r"""Kullback-Leibler divergence of the student's probabilities from the teacher's.

    Parameters
    ----------
    y_true
        The teacher's probabilities, shape (n, k) or (k,).
    y_pred
        The student's, same shape.

    Returns
    -------
    ndarray
        float64, shape (n,) or ().

    Notes
    -----
    :math:`\sum_j y_j \log (y_j / p_j)` in nats, with both sides clipped to [1e-7, 1] as
    ``tf.keras.losses.kld`` does.

    Examples
    --------
    >>> kld([[0.5, 0.5]], [[0.25, 0.75]]).round(4)
    array([0.1438])
    """
    y = np.clip(np.asarray(y_true, dtype=np.float64), EPSILON, 1.0)
    p = np.clip(np.asarray(y_pred, dtype=np.float64), EPSILON, 1.0)
    return np.asarray(np.sum(y * np.log(y / p), axis=-1))


def xent(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> FloatArray:
    r"""Cross-entropy of the student's probabilities under the teacher's.

    Parameters
    ----------
    y_true
        The teacher's probabilities, shape (n, k) or (k,).
    y_pred
        The student's, same shape.

    Returns
    -------
    ndarray
        float64, shape (n,) or ().

    Notes
    -----
    :math:`-\sum_j y_j \log p_j` in nats, with :math:`p` renormalised and then clipped to [1e-7, 1 - 1e-7] as
    ``tf.keras.losses.categorical_crossentropy`` does.

    Examples
    --------
    >>> xent([[0.5, 0.5]], [[0.25, 0.75]]).round(4)
    array([0.837])
    """
    y = np.asarray(y_true, dtype=np.float64)
    p = np.asarray(y_pred, dtype=np.float64)
    total = p.sum(axis=-1, keepdims=True)
    p = np.clip(p / np.where(total > 0, total, 1.0), EPSILON, 1.0 - EPSILON)
    return np.asarray(-np.sum(y * np.log(p), axis=-1))


def distillation_loss(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, loss_type: LossType = "kld", temperature: float = 1.0
) -> FloatArray:
    """Harmfulness score of each instance: the loss between the tempered teacher and the student.

    Parameters
    ----------
    y_true
        The teacher's probabilities before the temperature is applied, shape (n, k).
    y_pred
        The student's probabilities, shape (n, k).
    loss_type
        ``"kld"`` or ``"xent"``.
    temperature
        Applied to ``y_true`` alone; see `temper`.

    Returns
    -------
    ndarray
        float64, shape (n,).

    Raises
    ------
    InvalidArgumentError
        If the loss type is unknown.
    """
    check_loss_type(loss_type)
    loss = kld if loss_type == "kld" else xent
    return loss(temper(y_true, temperature), y_pred)


def check_loss_type(loss_type: str) -> None:
    """Refuse a loss that does not exist.

    Raises
    ------
    InvalidArgumentError
        If the loss type is unknown.
    """
    if loss_type not in LOSS_TYPES:
        raise InvalidArgumentError(f"loss_type is {loss_type!r}; it must be one of {', '.join(LOSS_TYPES)}.")


def temper_graph(y: Tensor, temperature: float) -> Tensor:
    """`temper` for a graph; (n, k) tensor in, tensor of its dtype out."""
    top = tf.reduce_max(y, axis=-1, keepdims=True)
    powers = tf.exp(tf.math.log(tf.math.divide_no_nan(y, top)) / temperature)
    return powers / tf.maximum(tf.reduce_sum(powers, axis=-1, keepdims=True), 1.0)


def kld_graph(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """`kld` for a graph; (n, k) tensors in, (n,) out."""
    y = tf.clip_by_value(y_true, EPSILON, 1.0)
    p = tf.clip_by_value(y_pred, EPSILON, 1.0)
    return tf.reduce_sum(y * tf.math.log(y / p), axis=-1)


def xent_graph(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """`xent` for a graph; (n, k) tensors in, (n,) out."""
    p = tf.math.divide_no_nan(y_pred, tf.reduce_sum(y_pred, axis=-1, keepdims=True))
    return -tf.reduce_sum(y_true * tf.math.log(tf.clip_by_value(p, EPSILON, 1.0 - EPSILON)), axis=-1)


def loss_graph(y_true: Tensor, y_pred: Tensor, loss_type: LossType) -> Tensor:
    """`kld_graph` or `xent_graph` by name; ``y_true`` is tempered already."""
    return kld_graph(y_true, y_pred) if loss_type == "kld" else xent_graph(y_true, y_pred)
