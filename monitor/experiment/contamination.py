"""Batches with a growing share of corrupted instances, tested against a clean reference."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
from monitor.experiment.settings import StudySettings

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ContaminationRow:
    """P-values of the batches that were drawn for one share of corrupted instances.

    Attributes
    ----------
    corruption
        Kind of corruption, or ``pooled``.
    severity
        Its severity.
    kind
        ``harmful`` or ``harmless``: which corrupted instances were mixed in.
    alternative
        Of the K-S test.
    percentage
        Share of corrupted instances in a batch, in %.
    available
        How many corrupted instances there were to draw from.
    mean_p, max_p
        Mean and maximum p-value over the batches.
    flagged
        Share of the batches with a p-value below the threshold.
    """

    corruption: str
    severity: int
    kind: str
    alternative: str
    percentage: int
    available: int
    mean_p: float
    max_p: float
    flagged: float


class BatchTester:
    """Draws and tests batches.

    Parameters
    ----------
    reference
        Scores of the reference, shape (r,).
    clean
        Scores of clean instances that are not in the reference, shape (s,); what batches are filled up with.
    settings
        How many batches, and how they are tested.
    """

    def __init__(self, reference: FloatArray, clean: FloatArray, settings: StudySettings) -> None:
        self._clean, self._settings = clean, settings
        self._tests: Mapping[str, KolmogorovSmirnovTest] = {
            name: KolmogorovSmirnovTest(reference, name) for name in settings.alternatives
        }

    def contaminate(
        self, corruption: str, severity: int, kind: str, scores: FloatArray
    ) -> list[ContaminationRow]:
        """Mix corrupted instances into batches and test them.

        Parameters
        ----------
        corruption, severity, kind
            What the corrupted instances are; each combination has random numbers of its own, so that no
            result depends on which others were asked for.
        scores
            Scores of the corrupted instances, shape (a,).

        Returns
        -------
        list of ContaminationRow
            One for each share and test. Shares for which there are too few corrupted instances are left out:
            a batch that held some of them twice would look more alike than batches are.
        """
        settings = self._settings
        rng = np.random.default_rng([settings.seed, severity, zlib.crc32(f"{corruption}/{kind}".encode())])
        counts = {share: round(settings.window_size * share / 100) for share in settings.percentages}
        shares = [share for share, count in counts.items() if count <= len(scores)]
        batches = [self._draw(scores, counts[share], rng) for share in shares]
        rows = []
        for alternative, test in self._tests.items():
            p_values = test.test(np.concatenate(batches)).p_value.reshape(len(shares), settings.repetitions)
            for share, p in zip(shares, p_values, strict=True):
                rows.append(
                    ContaminationRow(
                        corruption=corruption,
                        severity=severity,
                        kind=kind,
                        alternative=alternative,
                        percentage=share,
                        available=len(scores),
                        mean_p=float(p.mean()),
                        max_p=float(p.max()),
                        flagged=float((p < settings.p_val).mean()),
                    )
                )
        return rows

    def _draw(self, scores: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
        """Batches, shape (repetitions, window_size); no instance is twice in a batch."""
        clean = self._settings.window_size - count
        return np.stack(
            [
                np.concatenate(
                    [
                        rng.choice(scores, count, replace=False, shuffle=False),
                        rng.choice(self._clean, clean, replace=False, shuffle=False),
                    ]
                )
                for _ in range(self._settings.repetitions)
            ]
        )


def detected_from(rows: list[ContaminationRow], p_val: float) -> int | None:
    """Smallest share from which on the mean p-value stays below a threshold; None if it does not.

    Parameters
    ----------
    rows
        Of one corruption, severity, kind and test.
    p_val
        The threshold.
    """
    share = None
    for row in sorted(rows, key=lambda row: row.percentage, reverse=True):
        if not row.mean_p < p_val:
            break
        share = row.percentage
    return share
