"""The state of monitors in memory, for events of the past: nothing that is deployed sees any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors.promises.promises import Threshold
from monitor.config import MonitorConfig
from monitor.policies import window_policy
from streams.state.decision_store import Procedure
from streams.state.memory_windows import MemoryConnection
from streams.state.recorded_windows import RecordedWindowStore
from streams.state.reference_store import reference_version
from streams.state.settling import Settlement

Scores: TypeAlias = npt.NDArray[np.float32]
OnSettled: TypeAlias = Callable[[str, Sequence[Settlement]], None]
"""Takes the name of a monitor and verdicts of it that are settled."""


class MemoryStores:
    """State in memory, for one pipeline.

    Parameters
    ----------
    on_settled
        Told of verdicts, in order within each segment.
    references
        Scores to test against, by monitor; others are tested against what their bundle holds.
    """

    def __init__(self, on_settled: OnSettled, references: Mapping[str, Scores] | None = None) -> None:
        self._on_settled = on_settled
        self._references = references or {}
        self._thresholds: dict[str, Threshold] = {}

    def windows(self, config: MonitorConfig) -> RecordedWindowStore:
        """Return the windows of a monitor."""
        return RecordedWindowStore(
            window_policy(config), lambda settlements: self._on_settled(config.name, settlements)
        )

    def references(self, config: MonitorConfig) -> MemoryReferences:
        """Return the references of a monitor."""
        return MemoryReferences(self._references.get(config.name))

    @staticmethod
    def discoveries(q: float) -> MemoryDecisions:
        """Return the decisions of a procedure that has just begun."""
        return MemoryDecisions()

    def recall_threshold(self, promise: str, work_out: Callable[[], Threshold]) -> Threshold:
        """Return the threshold that keeps a promise; work it out if it is not known."""
        if promise not in self._thresholds:
            self._thresholds[promise] = work_out()
        return self._thresholds[promise]

    @staticmethod
    def run(calls: Iterable[Callable[[], Any]]) -> list[Any]:
        """Carry out calls and return their replies in order."""
        return MemoryConnection.run(calls)

    @staticmethod
    def judging_ms() -> None:
        """Return None: a window is judged when its last event happens."""


class MemoryReferences:
    """The one reference of a monitor; the first that is adopted when none is given.

    Parameters
    ----------
    scores
        The reference, shape (n,), any order; None to take what is adopted.
    """

    def __init__(self, scores: Scores | None) -> None:
        self._scores = scores

    def adopt(self, scores: Scores) -> str:
        """Return the version in force; when there is none, put these scores in force."""
        self._scores = np.sort(scores if self._scores is None else self._scores).astype("<f4")
        return reference_version(self._scores)

    def current(self) -> str | None:
        """Return the version in force; None when there is none."""
        return None if self._scores is None else reference_version(self._scores)

    def get(self, version: str) -> Scores:
        """Return the sorted scores of the reference in force.

        Raises
        ------
        KeyError
            If it has another version.
        """
        if self._scores is None or version != reference_version(self._scores):
            raise KeyError(version)
        return self._scores


class MemoryDecisions:
    """The decisions of one procedure, from its beginning; each window is asked about once."""

    def __init__(self) -> None:
        self._state = b""

    def decide(self, questions: Mapping[str, float], procedure: Procedure) -> dict[str, bytes]:
        """Decide questions in their order."""
        self._state, decided = procedure(self._state, list(questions.values()))
        return dict(zip(questions, decided, strict=True))
