"""Verdicts: the results of testing closed windows, many windows at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import to_json

from detectors.promises.promises import Threshold, uniform_of
from detectors.window_tests import WindowTest
from monitor.verdicts.tied_scores import TieOrder
from streams.state.windows import ClosedWindow, Example


class Verdict(NamedTuple):
    """The result of testing one closed window.

    Attributes
    ----------
    sequence
        Number of the window in its segment, from 1.
    size
        Scores in the window.
    start_ms, end_ms
        Earliest and latest event time, milliseconds since 1970.
    offsets
        First and last offset (both inclusive) by partition.
    statistic, p_value
        Result of the window test.
    threshold
        p-value below which the window has drifted.
    drift
        Whether it has.
    reference
        Version of the reference it was tested against.
    mean, max
        Of the window's scores.
    flagged_fraction
        Share of scores above the detector's threshold; None when it has none.
    tested_ms
        When it was tested, milliseconds since 1970.
    """

    sequence: int
    size: int
    start_ms: int
    end_ms: int
    offsets: Mapping[int, tuple[int, int]]
    statistic: float
    p_value: float
    threshold: float
    drift: bool
    reference: str
    mean: float
    max: float
    flagged_fraction: float | None
    tested_ms: int

    def encode(self) -> bytes:
        """Return the verdict as compact JSON."""
        return to_json(self._asdict(), inf_nan_mode="constants")

    @classmethod
    def decode(cls, raw: bytes) -> Verdict:
        """Read what ``encode`` wrote."""
        data: dict[str, Any] = json.loads(raw)
        data["offsets"] = {int(p): (first, last) for p, (first, last) in data["offsets"].items()}
        return cls(**data)


class JudgedWindow(NamedTuple):
    """A closed window with its verdict."""

    window: ClosedWindow
    verdict: Verdict

    @property
    def examples(self) -> Sequence[Example]:
        """Highest-scoring events of the window, highest first."""
        return self.window.pane.examples


def judge(
    windows: Sequence[ClosedWindow],
    test: WindowTest,
    *,
    threshold_of: Callable[[int], Threshold],
    score_threshold: float | None,
    reference: str,
    now_ms: int | None,
    ties: TieOrder | None = None,
) -> list[JudgedWindow]:
    """Test closed windows, all windows of one size in one vectorised call.

    Parameters
    ----------
    windows
        Windows of any sizes and segments.
    test
        The test against the reference.
    threshold_of
        When a window of so many scores has drifted.
    score_threshold
        Score above which an instance is flagged; None when the detector has no threshold.
    reference
        Version of the test's reference.
    now_ms
        The time, milliseconds since 1970; None to take a window to be tested at the time of its last event.
    ties
        How tied scores are put in order before they are tested; ``test`` then has the reference of this. None
        leaves ties to the test.
    """
    by_size: dict[int, list[int]] = {}
    for i, window in enumerate(windows):
        by_size.setdefault(len(window.scores), []).append(i)
    judged: dict[int, JudgedWindow] = {}
    for members in by_size.values():
        scores = np.stack([windows[i].scores for i in members])
        result = test.test(scores if ties is None else ties.untied([windows[i] for i in members], scores))
        threshold = threshold_of(scores.shape[1])
        on_boundary = threshold.boundary is not None
        uniform = np.array([_uniform(windows[i]) for i in members]) if on_boundary else None
        results = zip(
            members,
            result.statistic.tolist(),
            result.p_value.tolist(),
            threshold.is_drift(result.p_value, uniform).tolist(),
            scores.mean(axis=1, dtype=np.float64).tolist(),
            scores.max(axis=1).tolist(),
            repeat(None) if score_threshold is None else (scores > score_threshold).mean(axis=1).tolist(),
            strict=False,
        )
        for i, statistic, p_value, drift, mean, highest, flagged in results:
            pane = windows[i].pane
            verdict = Verdict(
                sequence=windows[i].sequence,
                size=scores.shape[1],
                start_ms=pane.start_ms,
                end_ms=pane.end_ms,
                offsets=pane.offsets,
                statistic=statistic,
                p_value=p_value,
                threshold=threshold.p_value,
                drift=drift,
                reference=reference,
                mean=mean,
                max=highest,
                flagged_fraction=flagged,
                tested_ms=pane.end_ms if now_ms is None else now_ms,
            )
            judged[i] = JudgedWindow(windows[i], verdict)
    return [judged[i] for i in range(len(windows))]


def _uniform(window: ClosedWindow) -> float:
    # Named by what it covers, so that a window that is rebuilt or judged twice gets the same verdict.
    return uniform_of(f"{window.segment} {sorted(window.pane.offsets.items())}")
