"""A small deployment for tests of the command line: a tiny detector, a config and arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from click.testing import CliRunner, Result

from monitor.cli.main import main

N_FEATURES = 4
N_CLASSES = 3


def run(*args: object) -> Result:
    """Run ``drift-monitor`` in this process."""
    return CliRunner().invoke(main, [str(arg) for arg in args])


def complaints(result: Result) -> list[str]:
    """Return what stderr says, each line without the program's name."""
    lines = result.stderr.splitlines()
    assert all(line.startswith("drift-monitor: ") for line in lines), result.stderr
    return [line.removeprefix("drift-monitor: ") for line in lines]


def classifier(seed: int) -> Any:
    """Build an untrained classifier of 4 features and 3 classes."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    return tf.keras.Sequential(
        [tf.keras.Input((N_FEATURES,)), tf.keras.layers.Dense(N_CLASSES, activation="softmax")]
    )


def write_bundle(path: Path, *, reference: int | None = 200, with_teacher: bool = True) -> Path:
    """Write a bundle of two untrained classifiers; they differ, which gives scores."""
    from detectors import ModelDistillation, save_detector

    detector = ModelDistillation(
        threshold=0.5, distilled_model=classifier(1), model=classifier(2) if with_teacher else None
    )
    scores = None if reference is None else np.random.default_rng(0).exponential(size=reference)
    save_detector(detector, path, reference=scores)
    return path


@dataclass
class Deployment:
    """A config on disk whose parts a test may change before it is written."""

    directory: Path
    kafka: dict[str, Any]
    redis: dict[str, Any]
    monitor: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Write the config and return its path."""
        path = self.directory / "monitor.yaml"
        config = {"kafka": self.kafka, "redis": self.redis, "monitors": [self.monitor]}
        path.write_text(yaml.safe_dump(config))
        return path


def deployment(
    directory: Path,
    bootstrap: str,
    redis_url: str,
    *,
    topics: tuple[str, str, str] = ("in", "alerts", "dead"),
) -> Deployment:
    """Describe a deployment with a bundle at ``<directory>/bundle``; topics: input, alerts, dead letters."""
    return Deployment(
        directory,
        {"bootstrap.servers": bootstrap},
        {"url": redis_url},
        {
            "name": "churn",
            "input": {"topic": topics[0]},
            "detector": "bundle",
            "window": {"size": 20},
            "alerts": {"topic": topics[1]},
            "dead_letters": {"topic": topics[2]},
        },
    )
