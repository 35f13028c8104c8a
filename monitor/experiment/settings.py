"""How a contamination study is made."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.promises.window_samples import Alternative


@dataclass(frozen=True)
class StudySettings:
    """The defaults are those of the published study, and the one-sided test beside its two-sided one.

    Attributes
    ----------
    reference_size
        Clean instances in the reference; at most half of the clean instances when all of them were corrupted.
    window_size
        Instances a batch.
    percentages
        Shares of corrupted instances in a batch, in %.
    repetitions
        Batches drawn for each share.
    p_val
        A batch has drifted when its p-value is below.
    alternatives
        Tests to make.
    seed
        Of every draw.
    """

    reference_size: int = 1000
    window_size: int = 100
    percentages: tuple[int, ...] = tuple(range(0, 100, 10))
    repetitions: int = 100
    p_val: float = 0.05
    alternatives: tuple[Alternative, ...] = ("two-sided", "higher")
    seed: int = 0
