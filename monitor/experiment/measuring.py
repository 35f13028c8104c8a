"""What a classifier and its distilled copy make of the study's data: right or wrong, and how harmful."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detectors.distillation import ModelDistillation
from detectors.instances import check_distributions
from detectors.losses import LossType, distillation_loss
from monitor.errors import SetupError
from monitor.experiment.data import Condition, Instances, StudyData
from monitor.experiment.npz_files import read_probabilities

CHUNK = 1000
"""Instances between two steps of the progress bar."""
BYTE_SCALE = 255.0
"""What bytes are divided by unless the user says otherwise: images become numbers in [0, 1]."""

FloatArray = npt.NDArray[np.float64]
ClassesAndScores = tuple[npt.NDArray[np.int64], FloatArray]


@dataclass(frozen=True)
class Measured:
    """One condition.

    Attributes
    ----------
    right
        Whether the classifier names the right class, bool, shape (n,).
    scores
        Harmfulness scores, float64, shape (n,).
    """

    right: npt.NDArray[np.bool_]
    scores: FloatArray


@dataclass(frozen=True)
class Measurements:
    """All conditions.

    Attributes
    ----------
    clean
        The clean instances, n of them.
    corrupted
        Corrupted versions of the first m clean instances, in their order, by condition.
    """

    clean: Measured
    corrupted: Mapping[Condition, Measured]

    @property
    def n_corrupted(self) -> int:
        """How many clean instances have corrupted versions, m."""
        return len(next(iter(self.corrupted.values())).right)


class Scorer(Protocol):
    """Gives the classifier's class and the score of each instance."""

    def parts(self, condition: Condition | None, read: Callable[[], Instances]) -> Iterator[ClassesAndScores]:
        """Go through a condition (None: clean) in parts; ``read`` gives its instances, if they are needed."""
        ...


class ModelScorer:
    """Runs teacher and student.

    Parameters
    ----------
    detector
        Holds both.
    divide_by
        What instances are divided by; None divides bytes by 255 and leaves other numbers as they are.
    batch_size
        Instances per compiled call.
    """

    def __init__(self, detector: ModelDistillation, divide_by: float | None, batch_size: int) -> None:
        self._detector, self._divide_by, self._batch_size = detector, divide_by, batch_size

    def parts(self, condition: Condition | None, read: Callable[[], Instances]) -> Iterator[ClassesAndScores]:
        """Go through a condition in parts of ``CHUNK`` instances."""
        instances = read()
        for start in range(0, len(instances), CHUNK):
            chunk = scaled(instances[start : start + CHUNK], self._divide_by)
            scores, teacher, _ = self._detector.score(chunk, self._batch_size, return_predictions=True)
            yield teacher.argmax(axis=1), scores.astype(np.float64)


class StoredScorer:
    """Takes probabilities that are known; no model is run.

    Parameters
    ----------
    path
        ``.npz`` file of probabilities; see `monitor.experiment.npz_files`.
    loss_type, temperature
        As in `ModelDistillation`.
    """

    def __init__(self, path: Path, loss_type: LossType, temperature: float) -> None:
        self._path, self._loss_type, self._temperature = path, loss_type, temperature

    def parts(self, condition: Condition | None, read: Callable[[], Instances]) -> Iterator[ClassesAndScores]:
        """Go through a condition in one part, without reading its instances."""
        teacher, student = (
            read_probabilities(self._path, model, condition) for model in ("teacher", "distilled")
        )
        if teacher.ndim != 2 or teacher.shape != student.shape:
            raise SetupError(
                f"--probabilities: for {condition or 'the clean instances'} the teacher's have shape"
                f" {teacher.shape} and the student's {student.shape}; both must be (n, k)."
            )
        for name, probabilities in (("teacher", teacher), ("distilled", student)):
            check_distributions(
                probabilities, f"{name} in {self._path}", "logits must go through a softmax first"
            )
        yield (
            teacher.argmax(axis=1),
            distillation_loss(teacher, student, self._loss_type, self._temperature),
        )


def measure(data: StudyData, scorer: Scorer, progress: Callable[[int], Any]) -> Measurements:
    """Score every instance of the study.

    Parameters
    ----------
    data
        Clean and corrupted instances.
    scorer
        How.
    progress
        Is called with the number of instances done so far, of `instance_count`.

    Raises
    ------
    SetupError, DetectorError
        If data and models do not match.
    """
    done = 0

    def go_through(condition: Condition | None, read: Callable[[], Instances], n: int) -> Measured:
        nonlocal done
        parts = []
        for part in scorer.parts(condition, read):
            parts.append(part)
            done += len(part[0])
            progress(done)
        classes, scores = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(classes) != n:
            raise SetupError(
                f"There are {len(classes)} instances or predictions for {condition or 'the clean data'};"
                f" there must be {n}, one for each label."
            )
        return Measured(classes == data.labels[:n], scores)

    clean = go_through(None, lambda: data.instances, len(data.labels))
    corrupted = {
        condition: go_through(condition, read, data.n_corrupted) for condition, read in data.corrupted.items()
    }
    return Measurements(clean, corrupted)


def instance_count(data: StudyData) -> int:
    """How many instances `measure` scores."""
    return len(data.labels) + data.n_corrupted * len(data.corrupted)


def scaled(instances: Instances, divide_by: float | None) -> npt.NDArray[np.float32]:
    """Divide instances; bytes by 255 where nothing else is said."""
    if divide_by is None:
        divide_by = BYTE_SCALE if instances.dtype == np.uint8 else 1.0
    return np.asarray(np.divide(instances, np.float32(divide_by), dtype=np.float32))
