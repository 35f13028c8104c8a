"""The plots of a backtest's report, as SVG in the colours of the page around. Needs the extra ``plots``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from detectors.plots import COLOURS, plot_ecdf, plot_p_values, plot_scores
from monitor.alerts.policy import AlertKind, DriftState
from monitor.backtest.outcome import MonitorOutcome, SegmentHistory

INK = "#010203"
"""Stands in for the page's own colour of text, and occurs nowhere else."""
ALERT_COLOURS = {
    AlertKind.DETECTED: COLOURS[1],
    AlertKind.ONGOING: COLOURS[4],
    AlertKind.RESOLVED: COLOURS[2],
}
P_FLOOR = 1e-12
MANY_WINDOWS = 1500
"""Windows from which curves are drawn as pixels: as shapes they would make a page of many megabytes."""
INCHES = 9.2
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "drift-monitor",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "figure.dpi": 110,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def draw_timeline(segment: SegmentHistory) -> str:
    """Draw p-values against the threshold with alerts marked, and the share of flagged inputs."""

    def draw(figure: Figure) -> None:
        flagged = [verdict.flagged_fraction for verdict in segment.verdicts]
        if None in flagged:
            _p_values(figure.subplots(), segment)
            return
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.3))
        _p_values(top, segment)
        bottom.plot(_times(segment), flagged, color=COLOURS[0], linewidth=1.2, rasterized=_many(segment))
        bottom.set_ylim(0, max(0.05, *(share or 0.0 for share in flagged)) * 1.05)
        bottom.set_ylabel("flagged")

    return _svg((INCHES, 3.8), draw, f"p-values of segment {segment.segment} over time")


def draw_worst_window(monitor: MonitorOutcome, segment: SegmentHistory) -> str:
    """Draw the scores of the window with the smallest p-value beside the reference's."""
    assert segment.worst is not None  # noqa: S101 - a segment without a verdict has no history
    scores = segment.worst.window.scores

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2)
        plot_scores(
            {"reference": monitor.reference, "window": scores}, threshold=monitor.score_threshold, ax=left
        )
        for line in left.lines:
            line.set_color(INK)
        plot_ecdf(monitor.reference, scores, alternative=monitor.config.test.alternative, ax=right)
        right.set_title("")

    return _svg((INCHES, 2.9), draw, "scores of the worst window beside the reference")


def draw_comparison(rows: Sequence[tuple[str, SegmentHistory]]) -> str:
    """Draw the p-values of one segment under several configs below each other, on one axis of time."""

    def draw(figure: Figure) -> None:
        panels: npt.NDArray[Any] = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
        for ax, (name, segment) in zip(panels, rows, strict=True):
            _p_values(ax, segment)
            ax.set_title(name, loc="left", fontsize="medium")

    return _svg((INCHES, 1.0 + 1.7 * len(rows)), draw, "p-values under each config")


def _p_values(ax: Axes, segment: SegmentHistory) -> None:
    verdicts, times = segment.verdicts, _times(segment)
    p = np.array([verdict.p_value for verdict in verdicts])
    drift = np.array([verdict.drift for verdict in verdicts])
    many = _many(segment)
    plot_p_values(p, times, floor=P_FLOOR, ax=ax, color=COLOURS[0], linewidth=0.8, rasterized=many, zorder=2)
    if many:
        ax.lines[0].set_marker("")
    ax.plot(times[drift], np.maximum(p[drift], P_FLOOR), "o", markersize=4, color=COLOURS[1], rasterized=many)
    thresholds = np.maximum([verdict.threshold for verdict in verdicts], P_FLOOR)
    ax.step(times, thresholds, where="post", color=INK, linestyle=":", linewidth=1, rasterized=many)
    standing = np.array([moment.state is DriftState.DRIFT for moment in segment.moments])
    standing[1:] |= standing[:-1].copy()
    ax.fill_between(
        times, P_FLOOR / 1.5, 1.5, where=standing, step="post", color=COLOURS[1], alpha=0.13, linewidth=0
    )
    for time, moment in zip(times, segment.moments, strict=True):
        if moment.alert is not None:
            ax.axvline(time, color=ALERT_COLOURS[moment.alert], linewidth=1, rasterized=many)
    locator: Any = AutoDateLocator()  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.set_xlabel("")
    ax.set_yticks([1, 1e-4, 1e-8, 1e-12], minor=False)


def _times(segment: SegmentHistory) -> npt.NDArray[np.datetime64]:
    """When the last event of each window happened; what comes out of order is drawn where it closed."""
    ends = np.maximum.accumulate([verdict.end_ms for verdict in segment.verdicts])
    return ends.astype("datetime64[ms]")


def _many(segment: SegmentHistory) -> bool:
    return len(segment.verdicts) > MANY_WINDOWS


def _svg(inches: tuple[float, float], draw: Callable[[Figure], None], says: str) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=inches, layout="constrained")
        draw(figure)
        written = StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Title": says})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    return svg.replace(INK, "currentColor").replace("#ffffff", "var(--paper)")
