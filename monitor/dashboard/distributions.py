"""A window's scores beside the reference's, reduced to what a chart can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

FEWEST_BINS, MOST_BINS = 12, 30
CURVE_POINTS = 400
"""More points than a chart has pixels for would only be sent for nothing."""

LOG_RATIO = 50.0
"""With a 95th percentile so many times the 5th, most scores would share one bin of a linear axis."""

FLOOR_QUANTILE = 0.01
"""Scores below this quantile are drawn at it when the axis is logarithmic; zero has no place there."""


@dataclass(frozen=True)
class Comparison:
    """Histogram and empirical distribution functions of a window and of its reference.

    Attributes
    ----------
    scale
        Whether the axis of scores is better ``linear`` or ``log``.
    edges
        Edges of the bins, evenly spaced on that axis, shape (b + 1,).
    window_shares, reference_shares
        Share of scores in each bin, shape (b,).
    x
        Scores at which the distribution functions are given, increasing, shape (k,).
    window_ecdf, reference_ecdf
        Share of scores not above each of ``x``, shape (k,); they stay the same up to the next one.
    at
        Score at which the two are farthest apart, in the direction that is tested.
    distance
        How far: the K-S statistic.
    window_at, reference_at
        Both functions at that score.
    """

    scale: Literal["linear", "log"]
    edges: FloatArray
    window_shares: FloatArray
    reference_shares: FloatArray
    x: FloatArray
    window_ecdf: FloatArray
    reference_ecdf: FloatArray
    at: float
    distance: float
    window_at: float
    reference_at: float

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready data."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }


def compare(
    window: npt.NDArray[np.float32], reference: npt.NDArray[np.float32], alternative: str
) -> Comparison:
    """Compare a window's scores with the reference's.

    Parameters
    ----------
    window
        Scores, float32, shape (m,), any order.
    reference
        Scores, float32, shape (n,), sorted.
    alternative
        Direction of the test: ``higher``, ``lower`` or ``two-sided``.
    """
    ours = np.sort(window.astype(np.float64))
    theirs = reference.astype(np.float64)
    x = np.union1d(ours, theirs)
    window_ecdf = np.searchsorted(ours, x, side="right") / len(ours)
    reference_ecdf = np.searchsorted(theirs, x, side="right") / len(theirs)
    gap = reference_ecdf - window_ecdf
    widest = int(np.argmax({"higher": gap, "lower": -gap}.get(alternative, np.abs(gap))))

    scale, low = _axis(ours, theirs)
    drawn = np.maximum(x, low)
    bins = min(MOST_BINS, max(FEWEST_BINS, round(2 * len(ours) ** 0.5)))
    edges = _edges(scale, low, float(drawn[-1]), bins)
    kept = _thinned(drawn, widest)
    return Comparison(
        scale=scale,
        edges=edges,
        window_shares=_shares(ours, edges),
        reference_shares=_shares(theirs, edges),
        x=drawn[kept],
        window_ecdf=window_ecdf[kept],
        reference_ecdf=reference_ecdf[kept],
        at=float(drawn[widest]),
        distance=float(abs(gap[widest])),
        window_at=float(window_ecdf[widest]),
        reference_at=float(reference_ecdf[widest]),
    )


def _axis(ours: FloatArray, theirs: FloatArray) -> tuple[Literal["linear", "log"], float]:
    """Choose the scale of the axis and where it begins; both samples count the same, whatever their sizes."""
    quantiles = np.stack([np.quantile(scores, [FLOOR_QUANTILE, 0.05, 0.95]) for scores in (ours, theirs)])
    floor, low, high = quantiles[:, 0].min(), quantiles[:, 1].min(), quantiles[:, 2].max()
    if floor > 0 and high / low > LOG_RATIO:
        return "log", float(floor)
    return "linear", float(min(ours[0], theirs[0]))


def _edges(scale: str, low: float, high: float, bins: int) -> FloatArray:
    if low == high:
        # All scores are the same; the bin around them needs a width.
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    if scale == "log":
        edges = np.geomspace(low, high, bins + 1)
        edges[[0, -1]] = low, high
        return edges
    return np.linspace(low, high, bins + 1)


def _shares(scores: FloatArray, edges: FloatArray) -> FloatArray:
    counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
    return counts / len(scores)


def _thinned(drawn: FloatArray, widest: int) -> npt.NDArray[np.int64]:
    # Of scores drawn at the same place, the last has the distribution functions' values there.
    last = np.flatnonzero(np.append(drawn[1:] != drawn[:-1], True))
    if len(last) > CURVE_POINTS:
        last = last[np.linspace(0, len(last) - 1, CURVE_POINTS).astype(np.int64)]
    return np.union1d(last, [widest] if drawn[widest] > drawn[0] else []).astype(np.int64)
