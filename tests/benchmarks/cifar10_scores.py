"""Scores of real CIFAR-10 inputs, clean, harmless and harmful, for the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

TYPES = ("gaussian_noise", "motion_blur", "brightness", "pixelate")
"""Corruptions that are pooled."""


@dataclass(frozen=True)
class Corrupted:
    """Corrupted test images of one type at severity 5.

    Attributes
    ----------
    teacher, student
        Their probabilities, shape (1000, 10).
    harmless, harmful
        Which images the teacher gets right in spite of the corruption, and which it gets wrong that it got
        right before; shape (1000,), bool.
    """

    teacher: FloatArray
    student: FloatArray
    harmless: npt.NDArray[np.bool_]
    harmful: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CifarScores:
    """What the benchmarks draw from.

    Attributes
    ----------
    teacher, student
        Probabilities for the 10,000 clean test images, shape (10000, 10).
    corrupted
        By type of corruption.
    """

    teacher: FloatArray
    student: FloatArray
    corrupted: dict[str, Corrupted]

    @classmethod
    def read(cls, directory: Path, types: tuple[str, ...] = TYPES) -> CifarScores:
        """Read ``probs.npz`` and the labels in ``cifar10_eval.npz``."""
        with np.load(directory / "cifar10_eval.npz", allow_pickle=False) as file:
            labels = file["y"][:1000]
        corrupted = {}
        with np.load(directory / "probs.npz", allow_pickle=False) as file:
            right = file["teacher_eval"][:1000].argmax(axis=1) == labels
            for name in types:
                teacher = file[f"teacher_{name}_5"].astype(np.float64)
                still_right = teacher.argmax(axis=1) == labels
                corrupted[name] = Corrupted(
                    teacher,
                    file[f"distilled_{name}_5"].astype(np.float64),
                    right & still_right,
                    right & ~still_right,
                )
            return cls(
                file["teacher_test"].astype(np.float64), file["distilled_test"].astype(np.float64), corrupted
            )

    def clean_scores(self) -> FloatArray:
        """K-L scores of the clean images, shape (10000,)."""
        return kld(self.teacher, self.student)

    def harmful_scores(self) -> FloatArray:
        """K-L scores of the harmful images of all types, shape (k,)."""
        return np.concatenate([kld(c.teacher, c.student)[c.harmful] for c in self.corrupted.values()])


def kld(teacher: FloatArray, student: FloatArray, temperature: float = 1.0) -> FloatArray:
    """K-L divergence of the student's from the teacher's softened probabilities, shape (n,)."""
    return xent(teacher, student, temperature) + (
        _softened(teacher, temperature) * _log(teacher, temperature)
    ).sum(axis=1)


def xent(teacher: FloatArray, student: FloatArray, temperature: float = 1.0) -> FloatArray:
    """Cross-entropy of the student's probabilities under the teacher's softened ones, shape (n,)."""
    return np.asarray(-(_softened(teacher, temperature) * np.log(np.clip(student, 1e-7, 1.0))).sum(axis=1))


def _softened(probabilities: FloatArray, temperature: float) -> FloatArray:
    logits = np.log(np.maximum(probabilities, 1e-30)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _log(teacher: FloatArray, temperature: float) -> FloatArray:
    return np.asarray(np.log(np.clip(_softened(teacher, temperature), 1e-7, 1.0)))
