"""Model distillation: score how harmful an input is by where a student departs from its teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from detectors.arguments import check_number, check_positive_int
from detectors.classifier import Classifier, common_input_shape
from detectors.errors import InvalidArgumentError, NotReadyError
from detectors.instances import (
    DEFAULT_BATCH_SIZE,
    Float32Array,
    check_distributions,
    fits,
    float32_batches,
    preprocessed,
    read_instances,
    read_predictions,
)
from detectors.losses import LossType, check_loss_type, loss_graph, temper
from detectors.meta import detector_meta
from detectors.scoring import ScoredBatch, ScoringGraph
from detectors.training import (
    ProbabilityLoss,
    read_callbacks,
    read_metric,
    read_optimizer,
    teacher_probabilities,
    train,
)

MIN_TEMPERATURE = 1e-6
"""Below this ``1 / temperature`` overwhelms float64's logarithm; the result is one-hot long before."""


class ModelDistillation:
    """Flags instances on which a distilled copy of a classifier departs from it.

    A small student is trained to imitate the teacher. Where inputs have moved in a way that changes the
    teacher's prediction, the student no longer follows; the distillation loss on an instance is its
    harmfulness score.

    Parameters
    ----------
    threshold
        Score above which an instance is flagged; may be inferred later with `infer_threshold`.
    distilled_model
        The student, a Keras model with one input and k >= 2 outputs.
    model
        The teacher. Optional when its predictions are always given.
    loss_type
        ``"kld"``, the Kullback-Leibler divergence, or ``"xent"``, the cross-entropy.
    temperature
        Applied to the teacher's probabilities, for training and for scores: ``y ** (1 / temperature)``,
        renormalised.
    data_type
        Kept in ``meta`` as it is, such as ``"image"``.
    model_from_logits, distilled_from_logits
        Whether the teacher, or the student, ends in logits instead of probabilities; a softmax is then
        applied. Predictions that are given are probabilities always.

    Attributes
    ----------
    input_shape : tuple of int or None
        Shape of one instance; None where a length may vary.
    n_classes : int
        Number of classes, k.
    meta : dict
        Name, type, data type and version.

    Raises
    ------
    InvalidArgumentError
        If an argument is of a wrong type or value, or the two models do not match.

    Notes
    -----
    With the teacher's tempered probabilities ``y_j = q_j^(1/T) / sum_i q_i^(1/T)`` and the student's ``p_j``,
    an instance scores ``sum_j y_j log(y_j / p_j)`` (``kld``) or ``-sum_j y_j log p_j`` (``xent``), in nats;
    `detectors.losses` says where probabilities are clipped. Instances are computed on as float32. Scoring may
    run in several threads at once; `fit` changes the student and may not run beside it.

    References
    ----------
    Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv:1503.02531).
    Vacanti and Van Looveren, "Adversarial Detection and Correction by Matching Prediction Distributions",
    2020 (arXiv:2002.09364).

    Examples
    --------
    >>> import numpy as np, tensorflow as tf
    >>> def classifier():
    ...     return tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, activation="softmax")])
    >>> X = np.random.default_rng(0).normal(size=(64, 4))
    >>> detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    >>> history = detector.fit(X, epochs=1, verbose=False)
    >>> threshold = detector.infer_threshold(X, threshold_perc=95)
    >>> int(detector.predict(X)["data"]["is_adversarial"].sum())
    4
    """

    def __init__(
        self,
        threshold: float | None = None,
        distilled_model: Any = None,
        model: Any = None,
        loss_type: LossType = "kld",
        temperature: float = 1.0,
        data_type: str | None = None,
        *,
        model_from_logits: bool = False,
        distilled_from_logits: bool = False,
    ) -> None:
        if distilled_model is None:
            raise InvalidArgumentError("distilled_model is missing; it must be a tf.keras.Model.")
        self._student = Classifier(distilled_model, "distilled_model", from_logits=distilled_from_logits)
        self._teacher = None if model is None else Classifier(model, "model", from_logits=model_from_logits)
        check_loss_type(loss_type)
        if data_type is not None and not isinstance(data_type, str):
            raise InvalidArgumentError(f"data_type is {data_type!r}; it must be text or None.")
        self.threshold = threshold
        self._loss_type = loss_type
        self._temperature = check_number(temperature, "temperature", low=MIN_TEMPERATURE)
        self._model_from_logits = model_from_logits
        self.n_classes = self._student.n_classes
        self.input_shape = common_input_shape(self._student, self._teacher)
        self.meta = detector_meta("ModelDistillation", "adversarial", data_type)
        self._graph = ScoringGraph(
            self._student, self._teacher, self._loss_type, self._temperature, self.input_shape
        )

    @property
    def threshold(self) -> float | None:
        """Score above which an instance is flagged; None until given or inferred."""
        return self._threshold

    @threshold.setter
    def threshold(self, value: float | None) -> None:
        self._threshold = None if value is None else check_number(value, "threshold")

    @property
    def distilled_model(self) -> Any:
        """The student's Keras model."""
        return self._student.model

    @property
    def model(self) -> Any:
        """The teacher's Keras model, or None."""
        return None if self._teacher is None else self._teacher.model

    @property
    def loss_type(self) -> LossType:
        """``"kld"`` or ``"xent"``."""
        return self._loss_type

    @property
    def temperature(self) -> float:
        """Temperature of the teacher's probabilities."""
        return self._temperature

    @property
    def model_from_logits(self) -> bool:
        """Whether the teacher gives logits."""
        return self._model_from_logits

    @property
    def distilled_from_logits(self) -> bool:
        """Whether the student gives logits."""
        return self._student.from_logits

    @property
    def tracing_count(self) -> int:
        """How many TensorFlow graphs scoring has built so far; batch sizes never add to it."""
        return self._graph.tracing_count()

    def fit(
        self,
        X: Any,
        loss_fn: ProbabilityLoss | None = None,
        optimizer: Any = tf.keras.optimizers.Adam,
        epochs: int = 20,
        batch_size: int = DEFAULT_BATCH_SIZE,
        verbose: bool = True,
        log_metric: Any = None,
        callbacks: Sequence[Any] | None = None,
        preprocess_fn: Callable[[npt.NDArray[Any]], Any] | None = None,
        *,
        predictions: Any = None,
    ) -> Any:
        """Train the student to imitate the teacher.

        The teacher runs once over ``X``, and not at all when ``predictions`` are given; it is never changed.
        The student is compiled anew with this loss and optimizer.

        Parameters
        ----------
        X
            Training instances, shape (n, *input_shape), or what ``preprocess_fn`` turns into this.
        loss_fn
            Called as ``loss_fn(y_true, y_pred)`` with the teacher's tempered probabilities and the student's
            probabilities, both (n, k); any Keras loss of probabilities will do. None takes the detector's own
            ``loss_type``, so that the student is trained on what it is scored by.
        optimizer
            Keras optimizer, a class or an instance.
        epochs, batch_size
            Passes over the set, shuffled as a whole before each, and instances per step.
        verbose
            Whether to show a progress bar.
        log_metric
            A pair of name and Keras metric, or the metric alone, shown in the progress bar. It compares the
            student's probabilities with the teacher's tempered ones, such as
            ``("agreement", tf.keras.metrics.CategoricalAccuracy())``.
        callbacks
            Keras callbacks; their ``model`` is the student.
        preprocess_fn
            Applied to ``X`` before both models, once, in batches. `score` does not apply it.
        predictions
            The teacher's probabilities for ``X``, shape (n, k), when they are known.

        Returns
        -------
        keras.callbacks.History
            Loss and metric per epoch.

        Raises
        ------
        InvalidArgumentError
            If an argument is wrong, or a model gives no probability distributions.
        NotReadyError
            If there is neither a model nor predictions.
        DetectorError
            If training diverges.
        """
        epochs = check_positive_int(epochs, "epochs")
        batch_size = check_positive_int(batch_size, "batch_size")
        if loss_fn is not None and not callable(loss_fn):
            raise InvalidArgumentError(
                f"loss_fn is {loss_fn!r}; it must be a function of (y_true, y_pred) or None."
            )
        optimizer, log_metric = read_optimizer(optimizer), read_metric(log_metric)
        callbacks = read_callbacks(callbacks)
        self._check_student_is_separate()
        if preprocess_fn is not None:
            X = preprocessed(X, preprocess_fn, batch_size)
        array = read_instances(X, self.input_shape)
        instances = np.concatenate([batch for _, batch in float32_batches(array, batch_size)])
        if predictions is None:
            y = self._imitated(instances, batch_size, verbose)
        else:
            y = read_predictions(predictions, len(instances), self.n_classes)
        return train(
            self._student,
            instances,
            temper(y, self._temperature).astype(np.float32),
            loss_fn=loss_fn or (lambda y_true, y_pred: loss_graph(y_true, y_pred, self._loss_type)),
            optimizer=optimizer,
            epochs=epochs,
            batch_size=batch_size,
            verbose=bool(verbose),
            log_metric=log_metric,
            callbacks=callbacks,
        )

    def infer_threshold(
        self,
        X: Any,
        threshold_perc: float = 99.0,
        margin: float = 0.0,
        batch_size: int = DEFAULT_BATCH_SIZE,
        *,
        predictions: Any = None,
    ) -> float:
        """Set the threshold so that a share of clean instances stays below it.

        Parameters
        ----------
        X
            Clean instances, shape (n, *input_shape).
        threshold_perc
            Percentage of them that is not to be flagged, from 0 to 100; numpy's linear percentile.
        margin
            Added to that percentile.
        batch_size
            Instances per compiled call.
        predictions
            The teacher's probabilities for ``X``, shape (n, k), when they are known.

        Returns
        -------
        float
            The threshold, which is also kept.
        """
        threshold_perc = check_number(threshold_perc, "threshold_perc", 0.0, 100.0)
        margin = check_number(margin, "margin")
        scores = self.score(X, batch_size, predictions=predictions)
        threshold = float(np.percentile(scores.astype(np.float64), threshold_perc)) + margin
        self.threshold = threshold
        return threshold

    @overload
    def score(
        self,
        X: Any,
        batch_size: int = ...,
        return_predictions: Literal[False] = ...,
        *,
        predictions: Any = ...,
    ) -> Float32Array: ...

    @overload
    def score(
        self, X: Any, batch_size: int = ..., *, return_predictions: Literal[True], predictions: Any = ...
    ) -> tuple[Float32Array, Float32Array, Float32Array]: ...

    @overload
    def score(
        self, X: Any, batch_size: int, return_predictions: Literal[True], *, predictions: Any = ...
    ) -> tuple[Float32Array, Float32Array, Float32Array]: ...

    def score(
        self,
        X: Any,
        batch_size: int = DEFAULT_BATCH_SIZE,
        return_predictions: bool = False,
        *,
        predictions: Any = None,
    ) -> Float32Array | tuple[Float32Array, Float32Array, Float32Array]:
        """Harmfulness score of each instance.

        Parameters
        ----------
        X
            Instances, shape (n, *input_shape), in anything that numpy can read.
        batch_size
            Instances per compiled call.
        return_predictions
            Whether to return the probabilities too.
        predictions
            The teacher's probabilities for ``X``, shape (n, k), before the temperature. The teacher is not
            run then.

        Returns
        -------
        ndarray, or tuple of three
            Scores, float32, shape (n,); and with ``return_predictions`` the teacher's tempered probabilities
            and the student's probabilities, float32, shape (n, k).

        Raises
        ------
        InvalidArgumentError
            If ``X`` or ``predictions`` are wrong, or a model gives no probability distributions.
        NotReadyError
            If there is neither a model nor predictions.
        """
        parts = self._explain(X, check_positive_int(batch_size, "batch_size"), predictions)
        scores = np.concatenate([part.scores for part in parts])
        if not return_predictions:
            return scores
        return (
            scores,
            np.concatenate([part.tempered for part in parts]),
            np.concatenate([part.student for part in parts]),
        )

    def predict(
        self,
        X: Any,
        batch_size: int = DEFAULT_BATCH_SIZE,
        return_instance_score: bool = True,
        *,
        predictions: Any = None,
    ) -> dict[str, dict[str, Any]]:
        """Flag the instances whose score is above the threshold.

        Parameters
        ----------
        X
            Instances, shape (n, *input_shape).
        batch_size
            Instances per compiled call.
        return_instance_score
            Whether the scores are in the result.
        predictions
            The teacher's probabilities for ``X``, shape (n, k), when they are known.

        Returns
        -------
        dict
            ``meta``, the detector's description, and ``data`` with ``is_adversarial``, int64 of shape (n,),
            0 or 1, and ``instance_score``, float32 of shape (n,) or None.

        Raises
        ------
        NotReadyError
            If there is no threshold, or neither a model nor predictions.
        InvalidArgumentError
            As `score`.
        """
        if self._threshold is None:
            raise NotReadyError(
                "The detector has no threshold; call infer_threshold with clean instances, or set threshold."
            )
        scores = self.score(X, batch_size, predictions=predictions)
        return {
            "meta": dict(self.meta),
            "data": {
                "is_adversarial": (scores > self._threshold).astype(np.int64),
                "instance_score": scores if return_instance_score else None,
            },
        }

    def score_predictions(self, instances: Float32Array, predictions: Float32Array) -> Float32Array:
        """Score a batch with known predictions in one compiled call, for streams.

        Only shapes are checked: that numbers are finite and predictions are distributions is up to the
        caller. May be called from several threads at once.

        Parameters
        ----------
        instances
            float32, shape (n, *input_shape).
        predictions
            The teacher's probabilities, float32, shape (n, k).

        Returns
        -------
        ndarray
            float32, shape (n,).

        Raises
        ------
        InvalidArgumentError
            If a shape or dtype is another.
        """
        self._check_float32(instances)
        if predictions.shape != (len(instances), self.n_classes) or predictions.dtype != np.float32:
            raise InvalidArgumentError(
                f"predictions is {predictions.dtype} of shape {predictions.shape}; it must be float32 of "
                f"shape ({len(instances)}, {self.n_classes})."
            )
        if len(instances) == 0:
            return np.empty(0, dtype=np.float32)
        return self._graph.score(instances, predictions)

    def score_instances(self, instances: Float32Array) -> Float32Array:
        """Score a batch with teacher and student in one compiled call, for streams without predictions.

        Otherwise as `score_predictions`.

        Parameters
        ----------
        instances
            float32, shape (n, *input_shape).

        Returns
        -------
        ndarray
            float32, shape (n,).

        Raises
        ------
        InvalidArgumentError
            If the shape or dtype is another.
        NotReadyError
            If there is no model.
        """
        self._check_float32(instances)
        if len(instances) == 0:
            return np.empty(0, dtype=np.float32)
        return self._graph.score(instances, None)

    def _explain(self, X: Any, batch_size: int, predictions: Any) -> list[ScoredBatch]:
        array = read_instances(X, self.input_shape)
        known = None if predictions is None else read_predictions(predictions, len(array), self.n_classes)
        parts = []
        for rows, batch in float32_batches(array, batch_size):
            part = self._graph.explain(batch, None if known is None else known[rows])
            if self._teacher is not None and known is None:
                check_distributions(part.teacher, "the output of model", self._teacher.advice, rows.start)
            check_distributions(
                part.student, "the output of distilled_model", self._student.advice, rows.start
            )
            parts.append(part)
        return parts

    def _check_float32(self, instances: Float32Array) -> None:
        if not fits(instances.shape[1:], self.input_shape) or instances.dtype != np.float32:
            raise InvalidArgumentError(
                f"instances is {instances.dtype} of shape {instances.shape}; it must be float32 of shape "
                f"(n, {', '.join(map(str, self.input_shape))})."
            )

    def _check_student_is_separate(self) -> None:
        if self._teacher is None:
            return
        teacher_weights = {id(weight) for weight in self._teacher.model.weights}
        if any(id(weight) in teacher_weights for weight in self._student.model.trainable_weights):
            raise InvalidArgumentError(
                "distilled_model shares trainable weights with model, which training would change; build it "
                "of layers of its own."
            )

    def _imitated(self, instances: Float32Array, batch_size: int, verbose: bool) -> Float32Array:
        if self._teacher is None:
            raise NotReadyError(
                "The detector has no model to imitate; give model= at construction, or predictions= to fit."
            )
        return teacher_probabilities(self._teacher, instances, batch_size, verbose)
