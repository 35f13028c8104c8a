"""The demo's data and models: scikit-learn's handwritten digits, a teacher, and corruptions of two kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from detectors import ModelDistillation
from monitor.errors import MonitorError

TRAINING_ROWS = 1000
REFERENCE_ROWS = 400
"""Of the 1797 digits; the rest plays the live traffic."""

NOISE = 0.45
"""Standard deviation of the harmful noise; pixels are in [0, 1]."""

GAIN = 1.2
"""How much brighter the harmless change makes a digit."""

Images = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Traffic:
    """Events of the demo by kind: images, float32, shape (n, 64), and the teacher's predictions (n, 10)."""

    clean: tuple[Images, Images]
    harmless: tuple[Images, Images]
    harmful: tuple[Images, Images]
    accuracy: dict[str, float]
    """Share of the images of each corruption that the teacher gets right."""


@dataclass(frozen=True)
class DigitsStudy:
    """A fitted detector, the reference scores of clean digits, and traffic to watch."""

    detector: ModelDistillation
    reference: npt.NDArray[np.float32]
    traffic: Traffic


def prepare(seed: int) -> DigitsStudy:
    """Train a teacher on digits, distil it, score the reference and corrupt the rest.

    Raises
    ------
    MonitorError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MonitorError(
            "The demo needs scikit-learn's digits; install the extra: pip install 'drift-monitor[demo]'."
        ) from None
    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    tf.keras.utils.set_random_seed(seed)
    order = rng.permutation(len(images))
    images = (images[order] / 16).astype(np.float32)
    labels = labels[order]
    train, held_out, live = np.split(np.arange(len(images)), [TRAINING_ROWS, TRAINING_ROWS + REFERENCE_ROWS])

    teacher = _classifier([128, 64])
    teacher.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    teacher.fit(images[train], labels[train], epochs=25, batch_size=64, verbose=0)
    detector = ModelDistillation(distilled_model=_classifier([24]), model=teacher)
    detector.fit(images[train], epochs=40, batch_size=64, verbose=False)
    detector.infer_threshold(images[held_out], threshold_perc=95)
    return DigitsStudy(
        detector=detector,
        reference=detector.score(images[held_out]),
        traffic=_corrupt(teacher, images[live], labels[live], rng),
    )


def _classifier(widths: list[int]) -> Any:
    layers: list[Any] = [tf.keras.Input((64,))]
    layers += [tf.keras.layers.Dense(width, activation="relu") for width in widths]
    return tf.keras.Sequential([*layers, tf.keras.layers.Dense(10, activation="softmax")])


def _corrupt(
    teacher: Any, images: Images, labels: npt.NDArray[np.int64], rng: np.random.Generator
) -> Traffic:
    brighter = np.clip(GAIN * images, 0, 1).astype(np.float32)
    noisy = np.clip(images + rng.normal(0, NOISE, images.shape), 0, 1).astype(np.float32)
    predictions = {
        name: np.asarray(teacher(x), dtype=np.float32)
        for name, x in (("clean", images), ("brighter", brighter), ("noisy", noisy))
    }
    right = {name: y.argmax(axis=1) == labels for name, y in predictions.items()}
    harmless = right["clean"] & right["brighter"]
    harmful = right["clean"] & ~right["noisy"]
    return Traffic(
        clean=(images, predictions["clean"]),
        harmless=(brighter[harmless], predictions["brighter"][harmless]),
        harmful=(noisy[harmful], predictions["noisy"][harmful]),
        accuracy={name: float(hits.mean()) for name, hits in right.items()},
    )
