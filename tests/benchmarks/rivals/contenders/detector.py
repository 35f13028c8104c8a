"""The detector of the loops that are compared, as alibi-detect's documentation sets it up.

Runs in the benchmark's own environment. The models are SavedModels, since alibi-detect needs an older Keras
than the one that wrote them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from alibi_detect.ad import ModelDistillation
from alibi_detect.cd import KSDrift

BATCH = 100


class Exported(tf.keras.Model):
    """A SavedModel as the Keras model that alibi-detect asks for."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._exported = tf.saved_model.load(str(path))

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self._exported.serve(x)


class Loop:
    """Gathers instances, scores and tests each hundred of them, and times itself.

    ``take`` is given one decoded event after the other. The time runs from the first hundred to the last
    event; after it ``done`` is true and the result is printed.
    """

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("--bootstrap", required=True)
        parser.add_argument("--topic", required=True)
        parser.add_argument("--group", required=True)
        parser.add_argument("--count", type=int, required=True)
        parser.add_argument("--models", type=Path, required=True)
        options = parser.parse_args()
        self.bootstrap, self.topic, self.group = options.bootstrap, options.topic, options.group
        self._detector = ModelDistillation(
            threshold=0.5,
            distilled_model=Exported(options.models / "student"),
            model=Exported(options.models / "teacher"),
        )
        self._drift = KSDrift(np.load(options.models / "reference.npy"), p_val=1e-6, alternative="greater")
        self._instances: list[list[float]] = []
        self._count = options.count
        self._taken = 0
        self._started = 0.0
        self._cpu = 0.0

    @property
    def done(self) -> bool:
        return self._taken >= self._count

    def take(self, event: dict[str, list[float]]) -> None:
        self._instances.append(event["instance"])
        self._taken += 1
        if len(self._instances) == BATCH:
            scores = self._detector.score(np.array(self._instances, dtype=np.float32))
            self._drift.predict(scores)
            self._instances.clear()
        if self._taken == BATCH:
            self._started, self._cpu = time.perf_counter(), time.process_time()
        if self.done:
            events = self._taken - BATCH
            found = {
                "events_per_second": events / (time.perf_counter() - self._started),
                "cpu_seconds_per_million": (time.process_time() - self._cpu) / events * 1e6,
            }
            # Faust takes sys.stdout for its log.
            print(json.dumps(found), file=sys.__stdout__, flush=True)
