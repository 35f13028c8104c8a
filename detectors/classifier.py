"""A Keras classifier seen as a function from instances to class probabilities, inside a TensorFlow graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import tensorflow as tf

from detectors.errors import InvalidArgumentError
from detectors.instances import InputShape


class Classifier:
    """A Keras model with one input and one probability (or logit) per class.

    Parameters
    ----------
    model
        Keras model whose input and output shapes are known. It is called in inference mode only, and never
        changed.
    role
        What errors call it, such as ``distilled_model``.
    from_logits
        Whether the model ends in logits, to which the softmax is still to be applied.

    Attributes
    ----------
    input_shape : tuple of int or None
        Shape of one instance.
    n_classes : int
        Number of classes, k.

    Raises
    ------
    InvalidArgumentError
        If it is no Keras model, has several inputs or outputs, or fewer than two classes.
    """

    def __init__(self, model: Any, role: str, *, from_logits: bool = False) -> None:
        if not isinstance(model, tf.keras.Model):
            raise InvalidArgumentError(
                f"{role} is of type {type(model).__name__}; it must be a tf.keras.Model."
            )
        if not isinstance(from_logits, bool):
            raise InvalidArgumentError(f"{role}'s from_logits is {from_logits!r}; it must be True or False.")
        self.model = model
        self.role = role
        self.from_logits = from_logits
        (self._input,), (output,) = (
            self._tensors("inputs", "input"),
            self._tensors("outputs", "output"),
        )
        self.input_shape: InputShape = tuple(self._input.shape[1:])
        self.n_classes = self._count_classes(tuple(output.shape))

    def _tensors(self, attribute: str, noun: str) -> list[Any]:
        try:
            tensors = list(getattr(self.model, attribute, None) or [])
        except ValueError:
            tensors = []
        if not tensors:
            raise InvalidArgumentError(
                f"{self.role} has no known {noun} shape; begin a Sequential model with tf.keras.Input, "
                "and wrap a subclassed one: tf.keras.Model(inputs, outputs)."
            )
        if len(tensors) > 1:
            raise InvalidArgumentError(f"{self.role} has {len(tensors)} {noun}s; it must have one.")
        return tensors

    def _count_classes(self, output_shape: tuple[int | None, ...]) -> int:
        if len(output_shape) != 2 or output_shape[1] is None:
            raise InvalidArgumentError(
                f"{self.role} has output shape {output_shape}; it must be (None, k), one unit per class."
            )
        if output_shape[1] == 1:
            raise InvalidArgumentError(
                f"{self.role} ends in one unit, the probability p of one class; it must give [1 - p, p]: "
                "append a layer that does so, or train it with two softmax units."
            )
        return output_shape[1]

    @property
    def widest_output_bytes(self) -> int:
        """Bytes of the largest output of a layer for one instance, as float32; an open length counts as 1."""
        return 4 * max(math.prod(size or 1 for size in shape[1:]) for shape in _output_shapes(self.model))

    @property
    def advice(self) -> str:
        """What to do when the outputs turn out to be no distributions."""
        option = "model_from_logits" if self.role == "model" else "distilled_from_logits"
        if self.from_logits:
            return f"{self.role} must give finite logits"
        return f"end {self.role} in a softmax, or pass {option}=True if it gives logits"

    def probabilities(self, instances: Any) -> Any:
        """Class probabilities as a graph node.

        Parameters
        ----------
        instances
            float32 tensor, shape (n, *input_shape).

        Returns
        -------
        Tensor
            float64, shape (n, k).
        """
        outputs = tf.cast(
            self.model(tf.cast(instances, self._input.dtype), training=False),
            tf.float64,
        )
        return tf.nn.softmax(outputs) if self.from_logits else outputs


def _output_shapes(model: Any) -> Iterator[tuple[int | None, ...]]:
    for layer in [model, *_layers(model)]:
        # A layer that was called twice, or never, has no output of its own.
        with suppress(AttributeError, ValueError):
            yield from (tuple(tensor.shape) for tensor in tf.nest.flatten(layer.output))


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)


def common_input_shape(student: Classifier, teacher: Classifier | None) -> InputShape:
    """Input shape that suits both models; each length that only one of them fixes is fixed.

    Raises
    ------
    InvalidArgumentError
        If no shape suits both, or they differ in their number of classes.
    """
    if teacher is None:
        return student.input_shape
    if student.n_classes != teacher.n_classes:
        raise InvalidArgumentError(
            f"distilled_model has {student.n_classes} classes and model has {teacher.n_classes}; both must "
            "have the same."
        )
    ours, theirs = student.input_shape, teacher.input_shape
    if len(ours) != len(theirs) or any(
        None not in (a, b) and a != b for a, b in zip(ours, theirs, strict=True)
    ):
        raise InvalidArgumentError(
            f"distilled_model takes instances of shape {ours} and model of {theirs}; both must take the same."
        )
    return tuple(b if a is None else a for a, b in zip(ours, theirs, strict=True))
