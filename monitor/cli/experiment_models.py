"""The models of a study, from what the user named. Importing this takes seconds: it needs TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from detectors import load_detector
from detectors.distillation import ModelDistillation
from detectors.instances import DEFAULT_BATCH_SIZE
from detectors.losses import LossType
from monitor.cli.progress import training_progress
from monitor.errors import SetupError
from monitor.experiment.data import StudyData
from monitor.experiment.digits import STUDENT_EPOCHS, distil_digits, prepare_digits
from monitor.experiment.measuring import ModelScorer, scaled
from monitor.fitting.keras_models import read_model
from monitor.fitting.students import build_student

STUDENT_BATCH_SIZE = 64


def open_digits(seed: int) -> tuple[StudyData, ModelScorer]:
    """Corrupt the digits, train a teacher and distil it."""
    study = prepare_digits(seed)
    with training_progress(STUDENT_EPOCHS) as callback:
        detector = distil_digits(study, [callback])
    return study.data, model_scorer(detector, None)


def model_scorer(detector: ModelDistillation, divide_by: float | None) -> ModelScorer:
    """Score by running the detector's models."""
    return ModelScorer(detector, divide_by, DEFAULT_BATCH_SIZE)


def open_bundle(path: Path) -> ModelDistillation:
    """Open a bundle with both models.

    Raises
    ------
    SetupError
        If it holds no teacher.
    BundleError
        If it cannot be opened.
    """
    detector = load_detector(path)
    if not isinstance(detector, ModelDistillation) or detector.model is None:
        raise SetupError(
            f"--detector: {path} holds no teacher; make the bundle with 'drift-monitor fit --keep-teacher'."
        )
    return detector


def assemble(
    data: StudyData,
    teacher: str,
    distilled: str | None,
    epochs: int,
    divide_by: float | None,
    loss: LossType,
    temperature: float,
    seed: int,
) -> ModelDistillation:
    """Put teacher and student together; train the student if there is none.

    Raises
    ------
    SetupError, DetectorError
        If a model cannot be read, does not match, or there is nothing to train a student on.
    """
    model = read_model(teacher, "--teacher")
    options: dict[str, Any] = {"model": model, "loss_type": loss, "temperature": temperature}
    if distilled is not None:
        return ModelDistillation(distilled_model=read_model(distilled, "--distilled"), **options)
    if data.training is None:
        raise SetupError(
            "Give the teacher's copy with --distilled, or instances to train one on with --train."
        )
    training = scaled(data.training(), divide_by)
    tf.keras.utils.set_random_seed(seed)
    student = build_student(training, int(model.output_shape[-1]))
    detector = ModelDistillation(distilled_model=student, **options)
    with training_progress(epochs) as callback:
        detector.fit(
            training, epochs=epochs, batch_size=STUDENT_BATCH_SIZE, verbose=False, callbacks=[callback]
        )
    return detector
