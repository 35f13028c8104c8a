"""The compiled path: student, teacher, temperature and loss as one TensorFlow graph."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from detectors.classifier import Classifier
from detectors.errors import NotReadyError
from detectors.instances import Float32Array, InputShape
from detectors.losses import LossType, loss_graph, temper_graph

CALL_BYTES = 32 * 2**20
"""What a call should write between two layers at most, which bounds a worker's memory. Large calls use the
cores better: on two of them, the CIFAR-10 student with a quarter of its filters scores 20,000 images/s in
calls of 128, which write 8 MiB, and 28,000/s in calls of 512, which write 32 MiB."""
FEWEST_ROWS = 16
"""Rows from which a call of a small network is worth its overhead, whatever it writes."""


class ScoredBatch(NamedTuple):
    """Scores of a batch and the probabilities behind them, all float32.

    Attributes
    ----------
    scores
        Shape (n,).
    teacher
        The teacher's probabilities as given or computed, shape (n, k).
    tempered
        The same after the temperature, shape (n, k).
    student
        The student's probabilities, shape (n, k).
    """

    scores: Float32Array
    teacher: Float32Array
    tempered: Float32Array
    student: Float32Array


class CompiledPair(NamedTuple):
    """The same graph twice: for the scores alone, and for everything in a `ScoredBatch`."""

    score: Any
    explain: Any


class ScoringGraph:
    """Compiled scoring functions for one student, teacher, loss and temperature.

    Every function is traced at most once, at its first call, for any batch size, and follows the models'
    weights as they are at each call. All may be called from several threads at once.

    Large batches of instances that make much of themselves, such as images, are scored in pieces whose
    intermediate results are of a bounded size. No score depends on the batch that its instance is in: a
    single row, which matrix products treat in another way than many, is scored as two.

    Parameters
    ----------
    student
        The distilled model.
    teacher
        The model, or None when predictions are always given.
    loss_type
        ``"kld"`` or ``"xent"``.
    temperature
        Applied to the teacher's probabilities.
    input_shape
        Shape of one instance.
    """

    def __init__(
        self,
        student: Classifier,
        teacher: Classifier | None,
        loss_type: LossType,
        temperature: float,
        input_shape: InputShape,
    ) -> None:
        instances = tf.TensorSpec((None, *input_shape), tf.float32)
        predictions = tf.TensorSpec((None, student.n_classes), tf.float32)

        def explain(x: Any, y: Any) -> tuple[Any, ...]:
            tempered = temper_graph(y, temperature)
            p = student.probabilities(x)
            scores = loss_graph(tempered, p, loss_type)
            return tuple(tf.cast(value, tf.float32) for value in (scores, y, tempered, p))

        def explain_known(x: Any, y: Any) -> tuple[Any, ...]:
            return explain(x, tf.cast(y, tf.float64))

        def compiled(function: Any, *signature: Any) -> CompiledPair:
            return CompiledPair(
                score=tf.function(
                    lambda *args: function(*args)[0], input_signature=signature, autograph=False
                ),
                explain=tf.function(function, input_signature=signature, autograph=False),
            )

        widest = max(one.widest_output_bytes for one in (student, teacher) if one is not None)
        self._rows_per_call = max(FEWEST_ROWS, CALL_BYTES // widest)
        self._known = compiled(explain_known, instances, predictions)
        self._run: CompiledPair | None = None
        if teacher is not None:

            def explain_run(x: Any) -> tuple[Any, ...]:
                return explain(x, teacher.probabilities(x))

            self._run = compiled(explain_run, instances)

    def score(self, instances: Float32Array, predictions: Float32Array | None) -> Float32Array:
        """Scores alone, shape (n,); the teacher runs when ``predictions`` is None."""
        if len(instances) == 1:
            pair = None if predictions is None else predictions.repeat(2, axis=0)
            return self.score(instances.repeat(2, axis=0), pair)[:1]
        if len(instances) <= self._rows_per_call:
            scores: Float32Array = self._call("score", instances, predictions).numpy()
            return scores
        n_calls = -(-len(instances) // self._rows_per_call)
        bounds = np.linspace(0, len(instances), n_calls + 1).astype(int).tolist()
        return np.concatenate(
            [
                self.score(instances[start:end], None if predictions is None else predictions[start:end])
                for start, end in pairwise(bounds)
            ]
        )

    def explain(self, instances: Float32Array, predictions: Float32Array | None) -> ScoredBatch:
        """Scores with the probabilities behind them; the teacher runs when ``predictions`` is None."""
        return ScoredBatch(*(value.numpy() for value in self._call("explain", instances, predictions)))

    def _call(self, name: str, instances: Float32Array, predictions: Float32Array | None) -> Any:
        if predictions is not None:
            return getattr(self._known, name)(tf.constant(instances), tf.constant(predictions))
        if self._run is None:
            raise NotReadyError(
                "The detector has no model to make predictions with; give model= at construction, or "
                "predictions=."
            )
        return getattr(self._run, name)(tf.constant(instances))

    def tracing_count(self) -> int:
        """How many graphs have been built so far, over all functions."""
        pairs = [pair for pair in (self._known, self._run) if pair is not None]
        return sum(function.experimental_get_tracing_count() for pair in pairs for function in pair)
