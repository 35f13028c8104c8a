"""Study data that need no download: scikit-learn's handwritten digits, with corruptions of their own.

The corruptions are small relatives of CIFAR-10-C's, made for images of 8 by 8 pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy import ndimage

from detectors.distillation import ModelDistillation
from monitor.errors import SetupError
from monitor.experiment.data import Condition, StudyData

SIDE, CLASSES = 8, 10
BRIGHTEST = 16
"""Pixels of the data set are counts from 0 to 16."""
TRAINING_ROWS = 597
"""A third of the 1797 digits trains both models; half of the others become the reference."""
TEACHER_EPOCHS, STUDENT_EPOCHS = 20, 100

NOISE = (0.15, 0.22, 0.3, 0.38, 0.46)
"""Standard deviation, at severities 1 to 5; pixels are in [0, 1]."""
BLUR = (0.4, 0.55, 0.7, 0.85, 1.0)
"""Standard deviation along a row, in pixels."""
LIGHT = (0.05, 0.1, 0.15, 0.2, 0.25)
"""Added to every pixel."""
CONTRAST = (0.75, 0.6, 0.45, 0.35, 0.25)
"""What is left of a pixel's distance from the image's mean."""
COARSENESS = (0.3, 0.45, 0.6, 0.75, 0.9)
"""How far each pixel moves towards the mean of its block of 2 by 2."""

Images = npt.NDArray[np.float64]


class DigitsStudy(NamedTuple):
    """The data, and a teacher that was trained on other digits with its labels."""

    data: StudyData
    teacher: Any


def prepare_digits(seed: int) -> DigitsStudy:
    """Corrupt the digits and train a teacher.

    Parameters
    ----------
    seed
        Of the division of the digits, the noise and the training.

    Raises
    ------
    SetupError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise SetupError(
            "The digits come with scikit-learn; install the extra: pip install 'drift-monitor[demo]', or give"
            " data of your own with --clean and --corrupted."
        ) from None
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng([seed, 1]).permutation(len(images))
    images, labels = images[order] / BRIGHTEST, labels[order].astype(np.int64)
    train, study = np.split(np.arange(len(images)), [TRAINING_ROWS])

    tf.keras.utils.set_random_seed(seed)
    teacher = _untrained_teacher()
    teacher.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    teacher.fit(
        images[train].astype(np.float32), labels[train], epochs=TEACHER_EPOCHS, batch_size=64, verbose=0
    )
    data = StudyData(
        instances=images[study].astype(np.float32),
        labels=labels[study],
        n_corrupted=len(study),
        corrupted={
            Condition(name, level + 1): partial(_corrupt, images[study], name, level, seed)
            for name, (_, levels) in CORRUPTIONS.items()
            for level in range(len(levels))
        },
        training=lambda: images[train].astype(np.float32),
        sources={"clean": "scikit-learn digits", "corrupted": "scikit-learn digits"},
    )
    return DigitsStudy(data, teacher)


def _noise(images: Images, deviation: float, rng: np.random.Generator) -> Images:
    return np.asarray(images + rng.normal(0, deviation, images.shape))


def _motion_blur(images: Images, deviation: float, rng: np.random.Generator) -> Images:
    return np.asarray(ndimage.gaussian_filter1d(images, deviation, axis=2))


def _brightness(images: Images, light: float, rng: np.random.Generator) -> Images:
    return images + light


def _contrast(images: Images, left: float, rng: np.random.Generator) -> Images:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return np.asarray(mean + left * (images - mean))


def _pixelate(images: Images, coarseness: float, rng: np.random.Generator) -> Images:
    half = SIDE // 2
    blocks = images.reshape(-1, half, 2, half, 2).mean(axis=(2, 4))
    return np.asarray((1 - coarseness) * images + coarseness * blocks.repeat(2, axis=1).repeat(2, axis=2))


CORRUPTIONS: dict[str, tuple[Callable[[Images, float, np.random.Generator], Images], tuple[float, ...]]] = {
    "gaussian_noise": (_noise, NOISE),
    "motion_blur": (_motion_blur, BLUR),
    "brightness": (_brightness, LIGHT),
    "contrast": (_contrast, CONTRAST),
    "pixelate": (_pixelate, COARSENESS),
}
"""By name: a function of images, shape (n, 8, 8), and a level; and its levels by severity."""


def _corrupt(images: Images, name: str, level: int, seed: int) -> npt.NDArray[np.float32]:
    corrupt, levels = CORRUPTIONS[name]
    rng = np.random.default_rng([seed, 2, level])
    corrupted = corrupt(images.reshape(-1, SIDE, SIDE), levels[level], rng)
    return np.clip(corrupted, 0, 1).reshape(len(images), -1).astype(np.float32)


def _untrained_teacher() -> Any:
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input((SIDE * SIDE,)),
            layers.Reshape((SIDE, SIDE, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def _untrained_student() -> Any:
    """So small that it does not follow the teacher where inputs leave what both know."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input((SIDE * SIDE,)),
            layers.Reshape((SIDE, SIDE, 1)),
            layers.Conv2D(8, 4, strides=2, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


def distil_digits(study: DigitsStudy, callbacks: list[Any]) -> ModelDistillation:
    """Train the student; deterministic after `prepare_digits` with the same seed."""
    detector = ModelDistillation(distilled_model=_untrained_student(), model=study.teacher)
    training = study.data.training
    if training is not None:
        detector.fit(training(), epochs=STUDENT_EPOCHS, batch_size=64, verbose=False, callbacks=callbacks)
    return detector
