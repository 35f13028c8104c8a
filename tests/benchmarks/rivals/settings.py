"""What the loops are compared on: a detector, its events, and how many of them each loop gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.bench.events import Event
from streams.encoding import encode_json
from tests.traffic import TinyDetector

DECIMALS = 6
"""Of each number, as services write them; it makes tabular events of about 340 bytes."""
TABULAR_EVENTS = 20_000
IMAGES = 500


@dataclass(frozen=True)
class Setting:
    """One comparison.

    Attributes
    ----------
    name
        What it is called.
    bundle
        Detector bundle, student and teacher in it.
    events
        Events that differ.
    ours, theirs
        Events that the worker drains, and that each rival drains of the same topic.
    """

    name: str
    bundle: Path
    events: list[Event]
    ours: int
    theirs: int


def tabular(directory: Path) -> Setting:
    """30 features, 2 classes, JSON."""
    tiny = TinyDetector(directory / "bundle")
    events = tiny.calm(TABULAR_EVENTS, seed=1)
    values = [
        json.dumps({"instance": instance, "prediction": prediction}, separators=(",", ":")).encode()
        for instance, prediction in zip(
            np.round(events.instances.astype(float), DECIMALS).tolist(),
            np.round(events.predictions.astype(float), DECIMALS).tolist(),
            strict=True,
        )
    ]
    _export(tiny.detector, tiny.reference, directory)
    return Setting("tabular", tiny.path, [Event(value) for value in values], 300_000, 20_000)


def images(directory: Path, cifar10: Path) -> Setting:
    """CIFAR-10 images, a ResNet-32 and its distilled copy, JSON; predictions in the events."""
    import tensorflow as tf

    from detectors import ModelDistillation, save_detector

    teacher, student = (
        tf.keras.models.load_model(cifar10 / f"{name}.keras", compile=False)
        for name in ("teacher", "distilled")
    )
    with np.load(cifar10 / "cifar10_eval.npz", allow_pickle=False) as file:
        X = file["X"][: 2 * IMAGES].astype(np.float32) / 255
    detector = ModelDistillation(distilled_model=student, model=teacher, threshold=1.0)
    predictions = np.asarray(teacher.predict(X, verbose=0))
    reference = detector.score(X[IMAGES:], predictions=predictions[IMAGES:])
    save_detector(detector, directory / "bundle", reference=reference)
    _export(detector, reference, directory)
    rounded: Any = np.round(X[:IMAGES].astype(float), DECIMALS)
    values = encode_json(rounded, predictions[:IMAGES])
    return Setting("images", directory / "bundle", [Event(value) for value in values], 8_000, 1_000)


def _export(detector: Any, reference: np.ndarray, directory: Path) -> None:
    detector.distilled_model.export(directory / "student", verbose=False)
    detector.model.export(directory / "teacher", verbose=False)
    np.save(directory / "reference.npy", reference)


SETTINGS: dict[str, Callable[..., Setting]] = {"tabular": tabular, "images": images}
