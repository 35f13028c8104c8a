"""Students trained in several ways on 8,000 CIFAR-10 images, for the study of harmless drift."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from detectors import scale_by_instance
from tests.benchmarks.cifar10_scores import CifarScores, Corrupted

BATCH = 64
SEED = 7


def trained(directory: Path, types: tuple[str, ...], epochs: int) -> Iterator[tuple[str, CifarScores]]:
    """Train students one after the other, and return what each makes of clean and corrupted images."""
    with np.load(directory / "cifar10_train_8k.npz", allow_pickle=False) as file:
        images = _floats(file["X"])
    with np.load(directory / "probs.npz", allow_pickle=False) as file:
        taught = file["teacher_train_8k"]
    known = CifarScores.read(directory, types)
    teacher = tf.keras.models.load_model(directory / "teacher.keras")
    weathered = _weathered(images, np.random.default_rng(SEED))
    taught_weathered = teacher.predict(weathered, batch_size=256, verbose=0)

    both = np.concatenate([images, weathered])
    taught_both = np.concatenate([taught, taught_weathered])
    # The same number of steps for each.
    plans = {
        "student on 8,000 images": (images, taught, 2 * epochs, False),
        "the same, inputs standardised": (images, taught, 2 * epochs, True),
        "the same, hazy and low-contrast copies added": (both, taught_both, epochs, False),
        "both": (both, taught_both, epochs, True),
    }
    for name, (X, y, rounds, standardise) in plans.items():
        student = _student()
        student.fit(_prepared(X, standardise), y, batch_size=BATCH, epochs=rounds, shuffle=True, verbose=0)
        yield name, _scored(student, directory, known, standardise)


def _student() -> Any:
    tf.keras.utils.set_random_seed(SEED)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((32, 32, 3)),
            *(layers.Conv2D(k, 4, strides=2, padding="same", activation="relu") for k in (64, 64, 32)),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="kl_divergence")
    return model


def _weathered(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lower the contrast of each image and lay a flat haze over it, both by a random amount."""
    shape = (len(images), 1, 1, 1)
    contrast = rng.uniform(0.2, 1.0, shape)
    haze = rng.uniform(0.0, 1.0, shape) * (1.0 - contrast)
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return np.clip((images - mean) * contrast + mean * (1.0 - haze) + haze, 0.0, 1.0).astype(np.float32)


def _scored(student: Any, directory: Path, known: CifarScores, standardise: bool) -> CifarScores:
    def outputs(images: np.ndarray) -> np.ndarray:
        prepared = _prepared(_floats(images), standardise)
        return student.predict(prepared, batch_size=256, verbose=0).astype(np.float64)

    with np.load(directory / "probs.npz", allow_pickle=False) as file:
        teacher = file["teacher_eval"].astype(np.float64)
    with np.load(directory / "cifar10_eval.npz", allow_pickle=False) as file:
        clean = outputs(file["X"])
    with np.load(directory / "cifar10_corrupted.npz", allow_pickle=False) as file:
        corrupted = {
            name: Corrupted(one.teacher, outputs(file[f"{name}_5"]), one.harmless, one.harmful)
            for name, one in known.corrupted.items()
        }
    return CifarScores(teacher, clean, corrupted)


def _prepared(images: np.ndarray, standardise: bool) -> np.ndarray:
    return np.asarray(scale_by_instance(images)) if standardise else images


def _floats(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255.0
