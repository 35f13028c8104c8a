"""What the study is made on: labelled clean instances and corrupted versions of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.config.faults import quoted_choice
from monitor.errors import SetupError

Instances = npt.NDArray[Any]


@dataclass(frozen=True, order=True)
class Condition:
    """A kind of corruption at a severity, from 1 (slight) up."""

    corruption: str
    severity: int

    def __str__(self) -> str:
        return f"{self.corruption}_{self.severity}"


@dataclass(frozen=True)
class StudyData:
    """Clean instances, their labels and their corrupted versions.

    Attributes
    ----------
    instances
        Clean, shape (n, ...).
    labels
        Right class of each, int64, shape (n,).
    n_corrupted
        How many of them, from the first on, were corrupted; m <= n.
    corrupted
        For each condition a function that reads the corrupted instances, shape (m, ...), in the same order.
    training
        A function that reads instances to train a student on, or None.
    sources
        Where the data came from, for the report.
    """

    instances: Instances
    labels: npt.NDArray[np.int64]
    n_corrupted: int
    corrupted: Mapping[Condition, Callable[[], Instances]]
    training: Callable[[], Instances] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def corruptions(self) -> list[str]:
        """Kinds of corruption, in the order in which they came."""
        return list(dict.fromkeys(condition.corruption for condition in self.corrupted))

    @property
    def severities(self) -> list[int]:
        """All severities that occur, ascending."""
        return sorted({condition.severity for condition in self.corrupted})

    def only(self, corruptions: Collection[str]) -> StudyData:
        """Keep some corruptions.

        Raises
        ------
        SetupError
            If the data have no such corruption.
        """
        check_corruptions(corruptions, self.corruptions, "--corruption")
        kept = {
            condition: read
            for condition, read in self.corrupted.items()
            if condition.corruption in corruptions
        }
        return replace(self, corrupted=kept)


def complete_corruptions(conditions: Collection[Condition]) -> list[str]:
    """Name the corruptions that come in every severity that any comes in."""
    severities = {condition.severity for condition in conditions}
    names = dict.fromkeys(condition.corruption for condition in conditions)
    return [name for name in names if all(Condition(name, severity) in conditions for severity in severities)]


def check_corruptions(wanted: Collection[str], known: Collection[str], option: str) -> None:
    """Refuse a corruption that is not there.

    Raises
    ------
    SetupError
        If one is not; names those that are.
    """
    for name in wanted:
        if name not in known:
            raise SetupError(
                f"{option}: the data have no corruption {name!r}; they have {quoted_choice(list(known))}."
            )


def read_labels(labels: npt.ArrayLike, n: int, where: str) -> npt.NDArray[np.int64]:
    """Check the labels of n instances.

    Raises
    ------
    SetupError
        If they are no integers, or of another number.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "iu" or array.size != n:
        raise SetupError(
            f"{where}: labels have dtype {array.dtype} and shape {array.shape}; there must be {n} integers,"
            " one for each instance."
        )
    return array.reshape(n).astype(np.int64)
