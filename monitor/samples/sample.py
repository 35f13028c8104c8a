"""Instances to fit a detector with, and their division into training data and reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.errors import SetupError

LARGEST_REFERENCE_SHARE = 0.25
"""Share of the data that at most is held out when the reference comes out of it."""
SMALLEST_REFERENCE = 20
"""Below this, even a window of two scores could hardly be called unusual at the 5 % level."""


@dataclass(frozen=True)
class Sample:
    """Instances, shape (n, ...), and the teacher's predictions for them, shape (n, k), where known."""

    instances: npt.NDArray[Any]
    predictions: npt.NDArray[Any] | None = None

    def take(self, rows: npt.NDArray[np.int64]) -> Sample:
        """Return some rows."""
        return Sample(self.instances[rows], None if self.predictions is None else self.predictions[rows])


def split(
    data: Sample, reference: Sample | None, *, size: int, train: bool, seed: int
) -> tuple[Sample, Sample]:
    """Divide data into what the student is trained on and what it is judged by, which share no row.

    Parameters
    ----------
    data
        All data.
    reference
        Clean data kept apart by the user, if any; the first ``size`` rows are taken.
    size
        How many rows the reference should have; at most a quarter of ``data`` is held out for it.
    train
        Whether there will be any training; if not, all of ``data`` may serve as reference.
    seed
        Of the choice of rows.

    Returns
    -------
    tuple of Sample
        Training data (empty without training) and reference data.

    Raises
    ------
    SetupError
        If the reference would be too small.
    """
    n = len(data.instances)
    order = np.random.default_rng(seed).permutation(n)
    held_out = order[:0]
    if reference is None:
        most = int(n * LARGEST_REFERENCE_SHARE) if train else n
        held_out = order[: min(size, most)]
        chosen = data.take(np.sort(held_out))
    else:
        chosen = reference.take(np.arange(min(size, len(reference.instances))))
    if len(chosen.instances) < SMALLEST_REFERENCE:
        raise SetupError(
            f"Only {len(chosen.instances)} instances are left for the reference, which needs"
            f" {SMALLEST_REFERENCE} at the very least and should have ten for each score of a window; give"
            " more data."
        )
    return data.take(np.sort(order[len(held_out) :]) if train else order[:0]), chosen
