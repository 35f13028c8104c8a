"""Ready-made preprocessing: scaling of instances, and reduction of many dimensions to few before a test."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from detectors.arguments import check_number, check_positive_int
from detectors.errors import InvalidArgumentError
from detectors.instances import DEFAULT_BATCH_SIZE, Float32Array, float32_batches, read_numbers

SCALE_EPSILON = 1e-12
"""Added to the standard deviation, so that a constant instance becomes zeros instead of NaN."""

_FORWARD: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def scale_by_instance(X: Any, eps: float = SCALE_EPSILON) -> Float32Array:
    r"""Scale each instance to zero mean and unit standard deviation over all its values.

    Parameters
    ----------
    X
        Instances, shape (n, ...) with at least one axis besides the first.
    eps
        Added to the standard deviation; not negative.

    Returns
    -------
    ndarray
        float32, shape of ``X``; a constant instance becomes zeros.

    Raises
    ------
    InvalidArgumentError
        If ``X`` has no instance, no axis besides the first, or holds NaN or infinity.

    Notes
    -----
    :math:`(x - \bar x) / (\sigma_x + \epsilon)` with the population standard deviation, computed in float64.

    Examples
    --------
    >>> scale_by_instance([[1.0, 2.0, 3.0]]).round(4)
    array([[-1.2247,  0.    ,  1.2247]], dtype=float32)
    """
    eps = check_number(eps, "eps", 0.0)
    array = read_numbers(X, "X")
    if array.ndim < 2 or array.size == 0:
        raise InvalidArgumentError(
            f"X has shape {array.shape}; it must have at least one instance and one axis besides the first."
        )
    scaled = np.empty(array.shape, dtype=np.float32)
    axes = tuple(range(1, array.ndim))
    for rows, batch in float32_batches(array, DEFAULT_BATCH_SIZE):
        values = batch.astype(np.float64)
        deviations = values - values.mean(axis=axes, keepdims=True)
        spread = values.std(axis=axes, keepdims=True) + eps
        scaled[rows] = np.divide(deviations, spread, out=np.zeros_like(deviations), where=spread > 0)
    return scaled


def preprocess_drift(
    x: Any,
    model: Any,
    preprocess_batch_fn: Callable[[Any], Any] | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Float32Array:
    """Run a Keras model over a sample in batches; with `functools.partial`, a ``preprocess_fn`` of `KSDrift`.

    The model is compiled once, however often and for whatever batch sizes this is called.

    Parameters
    ----------
    x
        Instances, shape (n, ...); or, with ``preprocess_batch_fn``, any sequence that it understands.
    model
        Keras model with one input and one output, such as `UAE` or `HiddenOutput`.
    preprocess_batch_fn
        Turns a slice of ``x`` into numbers that the model takes, such as a tokenizer.
    batch_size
        Instances per compiled call.

    Returns
    -------
    ndarray
        The model's output, float32, shape (n, ...).

    Raises
    ------
    InvalidArgumentError
        If an argument is wrong or ``x`` holds NaN or infinity.
    """
    batch_size = check_positive_int(batch_size, "batch_size")
    if not isinstance(model, tf.keras.Model):
        raise InvalidArgumentError(f"model is of type {type(model).__name__}; it must be a tf.keras.Model.")
    sample = x if preprocess_batch_fn is not None else read_numbers(x, "x")
    if len(sample) == 0:
        raise InvalidArgumentError("x is empty; it must hold at least one instance.")
    forward = _compiled(model)
    outputs = []
    for start in range(0, len(sample), batch_size):
        batch: npt.NDArray[Any] = sample[start : start + batch_size]
        if preprocess_batch_fn is not None:
            batch = read_numbers(preprocess_batch_fn(batch), "the result of preprocess_batch_fn")
        for _, numbers in float32_batches(batch, batch_size, "x"):
            outputs.append(forward(tf.constant(numbers)).numpy())
    return np.concatenate(outputs).astype(np.float32, copy=False)


def _compiled(model: Any) -> Any:
    """Compiled forward pass of a model, kept for as long as the model lives."""
    if model not in _FORWARD:
        inputs = getattr(model, "inputs", None) or []
        if len(inputs) != 1:
            raise InvalidArgumentError(
                f"model {model.name!r} has {len(inputs)} known inputs; it must have one tf.keras.Input."
            )
        alive = weakref.ref(model)
        dtype, shape = inputs[0].dtype, tuple(inputs[0].shape[1:])

        def forward(batch: Any) -> Any:
            return alive()(tf.cast(batch, dtype), training=False)  # type: ignore[misc]

        signature = [tf.TensorSpec((None, *shape), tf.float32)]
        _FORWARD[model] = tf.function(forward, input_signature=signature, autograph=False)
    return _FORWARD[model]


def HiddenOutput(model: Any, layer: int | str = -1, flatten: bool = True) -> Any:  # noqa: N802 - makes a model
    """Cut a Keras model off at a hidden layer; the weights stay shared with it.

    Parameters
    ----------
    model
        Keras model with a known input shape.
    layer
        Position or name of the layer whose output is taken.
    flatten
        Whether to flatten the output to (n, d).

    Returns
    -------
    tf.keras.Model
        From the model's input to the layer's output.

    Raises
    ------
    InvalidArgumentError
        If there is no such layer.
    """
    if not isinstance(model, tf.keras.Model):
        raise InvalidArgumentError(f"model is of type {type(model).__name__}; it must be a tf.keras.Model.")
    try:
        hidden = model.get_layer(layer) if isinstance(layer, str) else model.layers[layer]
    except (ValueError, IndexError) as error:
        names = ", ".join(found.name for found in model.layers)
        raise InvalidArgumentError(f"model has no layer {layer!r}; its layers are {names}.") from error
    output = tf.keras.layers.Flatten()(hidden.output) if flatten else hidden.output
    return tf.keras.Model(model.inputs, output)


def UAE(  # noqa: N802 - makes a model
    encoder_net: Any = None, shape: tuple[int, ...] | None = None, enc_dim: int = 32
) -> Any:
    r"""Untrained encoder: a random projection to few dimensions, in which many kinds of drift already show.

    Parameters
    ----------
    encoder_net
        A Keras model to use instead of the default one; its output is flattened.
    shape
        Shape of one instance, for the default encoder.
    enc_dim
        Number of dimensions that the default encoder reduces to.

    Returns
    -------
    tf.keras.Model
        From (n, \*shape) to (n, enc_dim), with weights drawn at random (`tf.keras.utils.set_random_seed`).

    Raises
    ------
    InvalidArgumentError
        If neither or both of ``encoder_net`` and ``shape`` are given.

    Notes
    -----
    The default has two hidden ReLU layers whose widths fall geometrically from the size of an instance to
    ``enc_dim``. Source of the idea: Rabanser, Guennemann and Lipton, "Failing Loudly", NeurIPS 2019.
    """
    if (encoder_net is None) == (shape is None):
        raise InvalidArgumentError("Give either encoder_net or shape, the shape of one instance.")
    if shape is None:
        return HiddenOutput(encoder_net)
    enc_dim = check_positive_int(enc_dim, "enc_dim")
    size = math.prod(shape)
    widths = [round(size ** (1 - part) * enc_dim**part) for part in (1 / 3, 2 / 3)]
    layers = tf.keras.layers
    hidden = [layers.Dense(width, activation="relu") for width in widths]
    return tf.keras.Sequential([tf.keras.Input(shape), layers.Flatten(), *hidden, layers.Dense(enc_dim)])
