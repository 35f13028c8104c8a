"""The numbers of the contamination study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.errors import SetupError
from monitor.experiment.contamination import BatchTester, ContaminationRow
from monitor.experiment.data import Condition
from monitor.experiment.measuring import Measurements
from monitor.experiment.settings import StudySettings

POOLED = "pooled"
"""What several corruptions together are called."""
CLEAN = "clean"
KINDS = ("harmful", "harmless")
"""Harmful: right before the corruption, wrong after it. Harmless: right before and after."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AccuracyRow:
    """Share of n instances that the classifier gets right; severity 0 is clean."""

    corruption: str
    severity: int
    n: int
    accuracy: float


@dataclass(frozen=True)
class ScoreRow:
    """Mean, standard deviation and median of the scores of n instances of a kind.

    ``kind`` is ``harmful``, ``harmless`` or, for all clean instances at severity 0, ``clean``.
    """

    corruption: str
    severity: int
    kind: str
    n: int
    mean: float
    deviation: float
    median: float


@dataclass(frozen=True)
class StudyResult:
    """What a study found.

    Attributes
    ----------
    settings
        How it was made.
    pool
        Corruptions that ``pooled`` stands for.
    reference
        Scores of the reference, shape (r,).
    accuracy, scores, contamination
        The tables.
    samples
        The scores behind ``scores``: by corruption, severity and kind, each of shape (a,).
    """

    settings: StudySettings
    pool: tuple[str, ...]
    reference: FloatArray
    accuracy: list[AccuracyRow]
    scores: list[ScoreRow]
    contamination: list[ContaminationRow]
    samples: dict[tuple[str, int, str], FloatArray] = field(repr=False)

    @property
    def groups(self) -> list[str]:
        """``pooled``, if there is a pool, and each corruption."""
        return list(dict.fromkeys(row.corruption for row in self.contamination))

    @property
    def severities(self) -> list[int]:
        """Severities of the corruptions, ascending."""
        return sorted({row.severity for row in self.contamination})


def run_study(
    measurements: Measurements,
    settings: StudySettings,
    pool: Sequence[str],
    progress: Callable[[int], Any] = lambda done: None,
) -> StudyResult:
    """Compare harmful and harmless instances.

    Parameters
    ----------
    measurements
        What the models made of the data.
    settings
        How.
    pool
        Corruptions that are also looked at together.
    progress
        Is called with the number of cells done, of `cell_count`.

    Raises
    ------
    SetupError
        If there are too few clean instances.
    """
    in_reference, studied = choose_rows(len(measurements.clean.right), measurements.n_corrupted, settings)
    reference = measurements.clean.scores[in_reference]
    clean = measurements.clean.scores[studied]
    samples = _split(measurements, studied, pool)
    tester = BatchTester(reference, clean, settings)
    contamination = []
    for done, ((corruption, severity, kind), sample) in enumerate(samples.items(), start=1):
        contamination += tester.contaminate(corruption, severity, kind, sample)
        progress(done)
    before = measurements.clean.right[studied]
    scores = [
        _score_row(CLEAN, 0, CLEAN, clean),
        # Without corruption right stays right, and nothing turns wrong.
        _score_row(CLEAN, 0, "harmless", clean[before]),
    ]
    scores += [_score_row(*key, sample) for key, sample in samples.items()]
    return StudyResult(
        settings=settings,
        pool=tuple(pool),
        reference=reference,
        accuracy=_accuracy(measurements, pool),
        scores=scores,
        contamination=contamination,
        samples=samples,
    )


def cell_count(conditions: Sequence[Condition], pool: Sequence[str]) -> int:
    """How many steps `run_study` has: kinds times conditions, the pooled ones included."""
    pooled = {condition.severity for condition in conditions if condition.corruption in pool}
    return len(KINDS) * (len(conditions) + len(pooled))


def choose_rows(
    n: int, n_corrupted: int, settings: StudySettings
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Divide the clean instances into the reference and those under study, which share none.

    Parameters
    ----------
    n
        Clean instances.
    n_corrupted
        How many of them, from the first on, have corrupted versions. If the others suffice, the reference
        comes from them alone.
    settings
        Size of the reference and of the batches; the seed.

    Returns
    -------
    tuple of ndarray
        Rows of the reference and of the study, int64, ascending.

    Raises
    ------
    SetupError
        If less is left for the study than a batch.
    """
    rng = np.random.default_rng([settings.seed, 0])
    spare = np.arange(n_corrupted, n)
    if len(spare) >= settings.reference_size:
        chosen = rng.choice(spare, settings.reference_size, replace=False)
    else:
        chosen = rng.choice(n, min(settings.reference_size, n // 2), replace=False)
    studied = np.setdiff1d(np.arange(n_corrupted), chosen)
    if len(studied) < settings.window_size:
        raise SetupError(
            f"Of {n} clean instances, {n_corrupted} with corrupted versions, a reference of {len(chosen)}"
            f" leaves {len(studied)} for the study; it needs at least a batch, {settings.window_size}."
        )
    return np.sort(chosen), studied


def _split(
    measurements: Measurements, studied: npt.NDArray[np.int64], pool: Sequence[str]
) -> dict[tuple[str, int, str], FloatArray]:
    """Scores of harmful and of harmless instances by corruption and severity, the pooled ones first."""
    before = measurements.clean.right[studied]
    single: dict[tuple[str, int, str], FloatArray] = {}
    for condition, measured in measurements.corrupted.items():
        after, scores = measured.right[studied], measured.scores[studied]
        single[condition.corruption, condition.severity, "harmful"] = scores[before & ~after]
        single[condition.corruption, condition.severity, "harmless"] = scores[before & after]
    severities = sorted({severity for corruption, severity, _ in single if corruption in pool})
    pooled = {
        (POOLED, severity, kind): np.concatenate(
            [single[name, severity, kind] for name in pool if (name, severity, kind) in single]
        )
        for severity in severities
        for kind in KINDS
    }
    return pooled | single


def _accuracy(measurements: Measurements, pool: Sequence[str]) -> list[AccuracyRow]:
    # Of the instances that were corrupted, so that what is compared are the same ones.
    rows = [_accuracy_row(CLEAN, 0, measurements.clean.right[: measurements.n_corrupted])]
    by_severity: dict[int, list[npt.NDArray[np.bool_]]] = {}
    for condition, measured in sorted(measurements.corrupted.items()):
        rows.append(_accuracy_row(condition.corruption, condition.severity, measured.right))
        if condition.corruption in pool:
            by_severity.setdefault(condition.severity, []).append(measured.right)
    rows += [
        _accuracy_row(POOLED, severity, np.concatenate(part))
        for severity, part in sorted(by_severity.items())
    ]
    return rows


def _accuracy_row(corruption: str, severity: int, right: npt.NDArray[np.bool_]) -> AccuracyRow:
    return AccuracyRow(corruption, severity, len(right), float(right.mean()))


def _score_row(corruption: str, severity: int, kind: str, scores: FloatArray) -> ScoreRow:
    if not len(scores):
        return ScoreRow(corruption, severity, kind, 0, *[float("nan")] * 3)
    return ScoreRow(
        corruption,
        severity,
        kind,
        len(scores),
        mean=float(scores.mean()),
        deviation=float(scores.std()),
        median=float(np.median(scores)),
    )
