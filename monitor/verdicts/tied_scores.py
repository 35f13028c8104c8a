"""The order among tied scores of a window: drawn at random, and the same whoever draws it again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from detectors.promises.tie_breaking import TieBreaker, uniforms_of
from monitor.config import WindowConfig
from streams.state.windows import ClosedWindow

FloatArray = npt.NDArray[np.float64]


class TieOrder:
    """Replaces the scores of closed windows by numbers without ties, to be tested against ``reference``.

    Parameters
    ----------
    reference
        Scores of the reference, shape (n,).
    window
        How windows are made: where they overlap, a score keeps its place among its equals from one window to
        the next, as a score that is not tied does.

    Notes
    -----
    A window that is judged twice, or rebuilt, has the same order. A tumbling window draws it by the offsets
    that it covers. An overlapping one draws it by the places of its scores in the segment, which it knows
    from its sequence number; that starts over when Redis has lost its data and no state topic is configured.
    """

    def __init__(self, reference: npt.ArrayLike, window: WindowConfig) -> None:
        self._breaker = TieBreaker(reference)
        self._hop = window.hop if window.overlaps else None

    @property
    def reference(self) -> FloatArray:
        """Numbers to test against in place of the reference, sorted and distinct, float64, shape (n,)."""
        return self._breaker.reference

    def untied(self, windows: Sequence[ClosedWindow], scores: npt.NDArray[np.float32]) -> FloatArray:
        """Numbers to test in place of scores, shape (k, m), of k windows."""
        uniforms = [self._uniforms(window, scores.shape[1]) for window in windows]
        return self._breaker.windows(scores, np.stack(uniforms))

    def _uniforms(self, window: ClosedWindow, count: int) -> FloatArray:
        if self._hop is None:
            return uniforms_of(f"ties {window.segment} {sorted(window.pane.offsets.items())}", count)
        return uniforms_of(f"ties {window.segment}", count, start=(window.sequence - 1) * self._hop)
