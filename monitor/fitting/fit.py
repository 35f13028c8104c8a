"""From a teacher and data to a detector bundle: what ``drift-monitor fit`` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from detectors import ModelDistillation, save_detector
from detectors.bundles.keras_archive import inspect_archive, save_archive
from detectors.bundles.manifest import MANIFEST_NAME
from detectors.errors import BundleError
from detectors.losses import LossType
from monitor.errors import SetupError
from monitor.fitting.students import build_student
from monitor.samples.sample import Sample


@dataclass(frozen=True)
class FitSettings:
    """How to fit.

    Attributes
    ----------
    loss_type, temperature
        As in `ModelDistillation`.
    epochs, batch_size
        Of the student's training; 0 epochs leave the student as it is.
    learning_rate
        Of Adam.
    threshold_percentile
        Percentage of the held-out instances that is not flagged.
    teacher_from_logits, student_from_logits
        Whether they end in logits.
    keep_teacher
        Whether the bundle holds the teacher.
    seed
        Of the student's first weights and the training.
    """

    loss_type: LossType = "kld"
    temperature: float = 1.0
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    threshold_percentile: float = 95.0
    teacher_from_logits: bool = False
    student_from_logits: bool = False
    keep_teacher: bool = True
    seed: int = 0


@dataclass(frozen=True)
class FitReport:
    """What came of it.

    Attributes
    ----------
    n_trained
        Training instances; 0 when nothing was trained.
    scores
        Scores of the held-out instances, which are the reference; float32, shape (n,).
    threshold
        Score above which an instance is flagged.
    agreement
        Share of the held-out instances for which student and teacher name the same class.
    student_parameters
        Number of the student's parameters.
    reference_version
        Version of the reference.
    holds_teacher
        Whether the bundle can run the teacher.
    """

    n_trained: int
    scores: npt.NDArray[np.float32]
    threshold: float
    agreement: float
    student_parameters: int
    reference_version: str
    holds_teacher: bool


def fit_bundle(
    output: Path,
    *,
    teacher: Any,
    student: Any,
    training: Sample,
    reference: Sample,
    settings: FitSettings,
    overwrite: bool = False,
    callbacks: Sequence[Any] = (),
) -> FitReport:
    """Train a student, score the reference and write the bundle.

    Parameters
    ----------
    output
        Directory of the bundle.
    teacher
        Keras model; None when all predictions are known.
    student
        Keras model to train; None for the default one.
    training, reference
        From `monitor.samples.sample.split`; the reference is clean data that the student is not trained on.
    settings
        How.
    overwrite
        Whether a bundle at ``output`` is replaced.
    callbacks
        Keras callbacks of the training.

    Raises
    ------
    SetupError, DetectorError
        If the models, data or output will not do; before any training as far as that can be known.
    """
    check_output(output, overwrite)
    tf.keras.utils.set_random_seed(settings.seed)
    if student is None:
        if not settings.epochs:
            raise SetupError("The default student has to be trained; give more than 0 epochs, or a student.")
        student = build_student(training.instances, _count_classes(teacher, training))
    options = {
        "distilled_model": student,
        "loss_type": settings.loss_type,
        "temperature": settings.temperature,
        "distilled_from_logits": settings.student_from_logits,
    }
    with_teacher = {"model": teacher, "model_from_logits": settings.teacher_from_logits} if teacher else {}
    detector = ModelDistillation(**options, **with_teacher)
    kept = [student, teacher] if teacher is not None and settings.keep_teacher else [student]
    for model in kept:
        _check_storable(model, "teacher" if model is teacher else "student")
    if settings.epochs:
        detector.fit(
            training.instances,
            optimizer=tf.keras.optimizers.Adam(settings.learning_rate),
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            verbose=False,
            callbacks=list(callbacks),
            predictions=training.predictions,
        )
    scores, taught, learned = detector.score(
        reference.instances, return_predictions=True, predictions=reference.predictions
    )
    threshold = float(np.percentile(scores.astype(np.float64), settings.threshold_percentile))
    stored = detector if len(kept) > 1 else ModelDistillation(**options)
    stored.threshold = threshold
    manifest = save_detector(stored, output, reference=scores, overwrite=overwrite)
    return FitReport(
        n_trained=len(training.instances),
        scores=scores,
        threshold=threshold,
        agreement=float((taught.argmax(axis=1) == learned.argmax(axis=1)).mean()),
        student_parameters=int(student.count_params()),
        reference_version=f"sha256:{manifest.reference.sha256}" if manifest.reference else "",
        holds_teacher=len(kept) > 1,
    )


def check_output(output: Path, overwrite: bool) -> None:
    """Find out before the work whether its result could be written.

    Raises
    ------
    SetupError
        If there is something at ``output`` that may not be replaced, or nothing may be written there.
    """
    parent = next(path for path in output.absolute().parents if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SetupError(
            f"The bundle cannot be written to {output}: {parent} is not a directory to write in."
        )
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / MANIFEST_NAME).is_file():
        raise SetupError(f"{output} exists and is not a detector bundle; choose another directory.")
    if not overwrite:
        raise SetupError(f"There is a bundle at {output} already; add --overwrite to replace it.")


def _count_classes(teacher: Any, training: Sample) -> int:
    if training.predictions is not None:
        return int(training.predictions.shape[-1])
    return int(teacher.output_shape[-1])


def _check_storable(model: Any, role: str) -> None:
    try:
        with TemporaryDirectory(prefix="drift-monitor-") as directory:
            path = Path(directory) / f"{role}.keras"
            save_archive(model, path)
            inspect_archive(path)
    except BundleError as error:
        advice = (
            " Add --drop-teacher to leave it out; events must bring predictions then."
            if role == "teacher"
            else ""
        )
        raise SetupError(f"The {role} cannot be kept in a bundle: {error}{advice}") from error
