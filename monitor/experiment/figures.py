"""The study's figures. Needs the extra ``plots``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from detectors.plots import COLOURS, plot_p_values, plot_scores
from monitor.experiment.report import select
from monitor.experiment.study import CLEAN, KINDS, POOLED, ScoreRow, StudyResult

KIND_COLOURS = {"harmful": COLOURS[1], "harmless": COLOURS[0]}
ACCURACY_COLOUR = "#444444"
LINE_STYLES: tuple[Literal["-", "--", "-."], ...] = ("-", "--", "-.")
"""One for each test, in the order of the settings."""
P_FLOOR = 1e-4
"""P-values below it are drawn here; what matters is where a curve crosses the threshold."""
PANEL_INCHES = (3.3, 2.7)
PANELS_A_ROW = 3
DOTS_PER_INCH = 90
BAR_OFFSET = 0.06
"""How far the bars of two kinds stand apart, in steps of severity, so that both can be seen."""

_Draw: TypeAlias = Callable[[StudyResult, str, Axes], dict[str, Line2D]]
"""Draws a group's panel and says what belongs into the legend."""


def draw_figures(result: StudyResult, directory: Path) -> list[Path]:
    """Draw the study into PNG files.

    Parameters
    ----------
    result
        What the study found.
    directory
        Where to write; exists.

    Returns
    -------
    list of Path
        ``scores.png`` (pooled) and ``scores-by-corruption.png``: mean and standard deviation of the scores,
        and accuracy, by severity. ``contamination-severity-<s>.png``, one a severity: mean and maximum
        p-values of the pooled batches by share. ``contamination-by-corruption.png``: mean p-values for each
        corruption at the highest severity. ``distributions.png``: the scores behind it all, at the highest
        severity.
    """
    single = [group for group in result.groups if group != POOLED]
    figures = {
        "scores-by-corruption": _panels(result, single, _draw_scores),
        "contamination-by-corruption": _contamination_by_corruption(result, single),
    }
    if POOLED in result.groups:
        figures["scores"] = _panels(result, [POOLED], _draw_scores, inches=(6.4, 4.2))
        figures["distributions"] = _distributions(result)
        for severity in result.severities:
            if any(row.corruption == POOLED and row.severity == severity for row in result.contamination):
                figures[f"contamination-severity-{severity}"] = _contamination(result, severity)
    paths = []
    for name, figure in figures.items():
        path = directory / f"{name}.png"
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Software": None})
        paths.append(path)
    return paths


def _panels(
    result: StudyResult, groups: list[str], draw: _Draw, inches: tuple[float, float] = PANEL_INCHES
) -> Figure:
    """One panel a group, and one legend."""
    columns = min(PANELS_A_ROW, len(groups))
    rows = math.ceil(len(groups) / columns)
    figure = Figure(figsize=(inches[0] * columns, inches[1] * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    handles: dict[str, Line2D] = {}
    for ax, group in zip(axes, groups, strict=False):
        ax.set_title(_title(result, group), fontsize="medium")
        handles |= draw(result, group, ax)
    for ax in axes[len(groups) :]:
        ax.set_axis_off()
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _draw_scores(result: StudyResult, group: str, ax: Axes) -> dict[str, Line2D]:
    handles: dict[str, Line2D] = {}
    (clean,) = (row for row in result.scores if row.kind == CLEAN)
    handles["clean"] = _bars([clean], ax, "black", 0.0)
    for kind, offset in zip(KINDS, (BAR_OFFSET, -BAR_OFFSET), strict=True):
        rows = [row for row in result.scores if (row.corruption, row.kind) == (group, kind) and row.n]
        handles[kind] = _bars(rows, ax, KIND_COLOURS[kind], offset)
    ax.set_xlabel("severity")
    ax.set_ylabel("score, mean ± deviation")
    ax.set_xticks([0, *result.severities])
    beside = ax.twinx()
    accuracy = sorted(
        (row.severity, row.accuracy) for row in result.accuracy if row.corruption in (CLEAN, group)
    )
    (handles["accuracy (right axis)"],) = beside.plot(
        *zip(*accuracy, strict=True), color=ACCURACY_COLOUR, linestyle=":", marker="s", markersize=3
    )
    beside.set_ylim(0, 1)
    beside.set_ylabel("accuracy")
    return handles


def _bars(rows: list[ScoreRow], ax: Axes, colour: str, offset: float) -> Line2D:
    ax.errorbar(
        [row.severity + offset for row in rows],
        [row.mean for row in rows],
        yerr=[row.deviation for row in rows],
        color=colour,
        marker="o",
        markersize=4,
        linewidth=1.4,
        elinewidth=0.8,
        capsize=2,
    )
    return Line2D([], [], color=colour, marker="o", markersize=4)


def _contamination(result: StudyResult, severity: int) -> Figure:
    """Mean and maximum p-values of the pooled batches."""
    figure = Figure(figsize=(8.6, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    handles = _draw_p_values(result, POOLED, severity, "mean_p", left)
    _draw_p_values(result, POOLED, severity, "max_p", right)
    left.set_title(f"mean p-value, severity {severity}", fontsize="medium")
    right.set_title(f"maximum p-value, severity {severity}", fontsize="medium")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize="small")
    return figure


def _contamination_by_corruption(result: StudyResult, groups: list[str]) -> Figure:
    def draw(result: StudyResult, group: str, ax: Axes) -> dict[str, Line2D]:
        severity = max(row.severity for row in result.contamination if row.corruption == group)
        ax.set_title(f"{_title(result, group)}, severity {severity}", fontsize="medium")
        return _draw_p_values(result, group, severity, "mean_p", ax)

    return _panels(result, groups, draw)


def _draw_p_values(
    result: StudyResult, group: str, severity: int, column: str, ax: Axes
) -> dict[str, Line2D]:
    settings = result.settings
    handles: dict[str, Line2D] = {}
    for kind in KINDS:
        for style, alternative in zip(LINE_STYLES, settings.alternatives, strict=False):
            rows = select(result, group, severity, kind, alternative)
            plot_p_values(
                [getattr(row, column) for row in rows],
                [row.percentage for row in rows],
                threshold=settings.p_val,
                floor=P_FLOOR,
                ax=ax,
                color=KIND_COLOURS[kind],
                linestyle=style,
                linewidth=1.3,
            )
            handles[f"{kind}, {alternative}"] = Line2D([], [], color=KIND_COLOURS[kind], linestyle=style)
    handles[f"threshold {settings.p_val:g}"] = Line2D([], [], color="black", linestyle=":")
    ax.set_xlim(-3, 93)
    ax.set_xlabel("corrupted inputs in a batch, %")
    ax.set_ylabel("p-value")
    return handles


def _distributions(result: StudyResult) -> Figure:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    severity = max(severity for corruption, severity, _ in result.samples if corruption == POOLED)
    samples = {"reference": result.reference}
    samples |= {kind: result.samples[POOLED, severity, kind] for kind in reversed(KINDS)}
    ax = plot_scores({name: scores for name, scores in samples.items() if len(scores)}, ax=figure.subplots())
    ax.set_title(f"{_title(result, POOLED)}, severity {severity}", fontsize="medium")
    return figure


def _title(result: StudyResult, group: str) -> str:
    return f"{len(result.pool)} corruptions pooled" if group == POOLED else group.replace("_", " ")
