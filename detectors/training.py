"""Training a student on a teacher's probabilities with Keras."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from detectors.classifier import Classifier
from detectors.errors import DetectorError, InvalidArgumentError
from detectors.instances import Float32Array, check_distributions, float32_batches

ProbabilityLoss = Callable[[Any, Any], Any]
"""Maps tensors (y_true, y_pred) of probabilities, both (n, k), to losses of shape (n,) or one mean loss."""


def teacher_probabilities(
    teacher: Classifier, instances: Float32Array, batch_size: int, verbose: bool = False
) -> Float32Array:
    """Run a teacher once over all instances.

    Parameters
    ----------
    teacher
        What to run.
    instances
        Finite, shape (n, *input_shape).
    batch_size
        Instances per compiled call.
    verbose
        Whether to show a progress bar.

    Returns
    -------
    ndarray
        Class probabilities, float32, shape (n, k).

    Raises
    ------
    InvalidArgumentError
        If the teacher does not give distributions.
    """
    signature = [tf.TensorSpec((None, *instances.shape[1:]), tf.float32)]
    run = tf.function(teacher.probabilities, input_signature=signature, autograph=False)
    bar = tf.keras.utils.Progbar(len(instances), unit_name="prediction", verbose=int(verbose))
    y = np.empty((len(instances), teacher.n_classes), dtype=np.float32)
    for rows, batch in float32_batches(instances, batch_size):
        y[rows] = run(tf.constant(batch)).numpy()
        check_distributions(y[rows], f"the output of {teacher.role}", teacher.advice, rows.start)
        bar.update(rows.stop)
    return y


def train(
    student: Classifier,
    X: Float32Array,
    targets: Float32Array,
    *,
    loss_fn: ProbabilityLoss,
    optimizer: Any,
    epochs: int,
    batch_size: int,
    verbose: bool,
    log_metric: Any = None,
    callbacks: Sequence[Any] | None = None,
) -> Any:
    """Train the student in place to give the targets.

    The student is compiled anew, without XLA (which would compile the short last batch of an epoch a second
    time), and keeps the optimizer afterwards. The whole set is shuffled before each epoch.

    Parameters
    ----------
    student
        What to train.
    X
        Instances, shape (n, *input_shape).
    targets
        Tempered probabilities of the teacher, shape (n, k).
    loss_fn
        Loss of probabilities; the softmax of a student that gives logits is applied before.
    optimizer
        Keras optimizer, a class (taken with its default settings) or an instance.
    epochs, batch_size
        Passes over the set, and instances per step.
    verbose
        Whether to show a progress bar per epoch.
    log_metric
        Keras metric of (targets, probabilities) to show in it, or a pair of name and metric.
    callbacks
        Keras callbacks; their ``model`` is the student's Keras model.

    Returns
    -------
    keras.callbacks.History
        Loss and metric per epoch.

    Raises
    ------
    InvalidArgumentError
        If the student does not give distributions, or the optimizer, metric or a callback is no such thing.
    DetectorError
        If the loss becomes NaN.
    """
    optimizer = read_optimizer(optimizer)
    metric = read_metric(log_metric)
    callbacks = read_callbacks(callbacks)
    first = student.probabilities(tf.constant(X[:batch_size])).numpy()
    check_distributions(first, f"the output of {student.role}", student.advice)

    def to_probabilities(outputs: Any) -> Any:
        return tf.nn.softmax(outputs) if student.from_logits else outputs

    def loss(y_true: Any, outputs: Any) -> Any:
        return loss_fn(y_true, to_probabilities(outputs))

    student.model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=[ProbabilityMetric(*metric, to_probabilities)] if metric else None,
        jit_compile=False,
    )
    history = student.model.fit(
        ShuffledBatches(X, targets, batch_size),
        epochs=epochs,
        verbose=int(verbose),
        callbacks=[tf.keras.callbacks.TerminateOnNaN(), *callbacks],
    )
    losses = history.history.get("loss", [])
    if losses and not np.isfinite(losses[-1]):
        raise DetectorError(
            f"Training diverged: the loss became {losses[-1]} in epoch {len(losses)}; lower the optimizer's "
            "learning rate or scale the instances."
        )
    return history


class ShuffledBatches(tf.keras.utils.PyDataset):  # type: ignore[misc]  # Keras is untyped
    """Batches of a training set in a new order each epoch.

    Keras' own shuffling repeats one order in every epoch once a global seed is set, as a repeatable fit does.
    The order here follows Python's generator, which ``keras.utils.set_random_seed`` seeds too.
    """

    def __init__(self, X: Float32Array, targets: Float32Array, batch_size: int) -> None:
        super().__init__()
        self._X, self._targets, self._batch_size = X, targets, batch_size
        self._rng = np.random.default_rng(random.getrandbits(64))
        self._order = self._rng.permutation(len(X))

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self._X) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Float32Array, Float32Array]:
        """Instances and targets of one batch."""
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._X[chosen], self._targets[chosen]

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""
        self._order = self._rng.permutation(len(self._X))


class ProbabilityMetric(tf.keras.metrics.Metric):  # type: ignore[misc]  # Keras is untyped
    """A Keras metric under a name of the user's choice, fed with probabilities even by a model of logits."""

    def __init__(self, name: str, metric: Any, to_probabilities: Callable[[Any], Any]) -> None:
        super().__init__(name=name)
        self.metric = metric
        self._to_probabilities = to_probabilities

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count one batch of targets and outputs, both (n, k)."""
        return self.metric.update_state(y_true, self._to_probabilities(y_pred), sample_weight=sample_weight)

    def result(self) -> Any:
        """Value over the batches counted so far."""
        return self.metric.result()

    def reset_state(self) -> None:
        """Forget all batches."""
        self.metric.reset_state()


def read_optimizer(optimizer: Any) -> Any:
    """Return an optimizer instance from a class or an instance.

    Raises
    ------
    InvalidArgumentError
        If it is neither.
    """
    if isinstance(optimizer, type) and issubclass(optimizer, tf.keras.optimizers.Optimizer):
        return optimizer()
    if isinstance(optimizer, tf.keras.optimizers.Optimizer):
        return optimizer
    raise InvalidArgumentError(
        f"optimizer is {optimizer!r}; it must be a Keras optimizer, such as tf.keras.optimizers.Adam or "
        "tf.keras.optimizers.Adam(1e-3)."
    )


def read_metric(log_metric: Any) -> tuple[str, Any] | None:
    """Return name and metric from a Keras metric or a pair of both; None stays None.

    Raises
    ------
    InvalidArgumentError
        If it is something else.
    """
    if log_metric is None:
        return None
    if isinstance(log_metric, tf.keras.metrics.Metric):
        return log_metric.name, log_metric
    if isinstance(log_metric, tuple | list) and len(log_metric) == 2:
        name, metric = log_metric
        if isinstance(name, str) and isinstance(metric, tf.keras.metrics.Metric):
            return name, metric
    raise InvalidArgumentError(
        f"log_metric is {log_metric!r}; it must be a Keras metric, or a pair such as "
        '("agreement", tf.keras.metrics.CategoricalAccuracy()).'
    )


def read_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list; None gives an empty one.

    Raises
    ------
    InvalidArgumentError
        If one is no Keras callback.
    """
    if callbacks is None:
        return []
    found = list(callbacks) if isinstance(callbacks, tuple | list) else [callbacks]
    for callback in found:
        if not isinstance(callback, tf.keras.callbacks.Callback):
            raise InvalidArgumentError(
                f"callbacks holds {callback!r}; it must hold tf.keras.callbacks.Callback objects."
            )
    return found
