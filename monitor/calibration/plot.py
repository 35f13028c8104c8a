"""A calibration as a picture: p-values on clean windows, and the delay. Needs the extra ``plots``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitor.calibration.calibrate import Delay, FalseAlarms

INK, MARK, GREY = "#0072B2", "#D55E00", "#7f7f7f"
"""Colours that colour-blind readers can tell apart: M. Okabe and K. Ito, "Color Universal Design", 2008."""


def plot_calibration(
    path: Path, name: str, clean: FalseAlarms, delays: Sequence[Delay], threshold: float | None
) -> None:
    """Write the picture.

    Parameters
    ----------
    path
        The file; its suffix says which format.
    name
        Of the monitor.
    clean
        What happened on the clean stream.
    delays
        What happened when it drifted; none are drawn if there are none.
    threshold
        P-value below which a window drifts, if there is one for all windows.
    """
    figure = Figure(figsize=(11.0 if delays else 5.5, 4.2), layout="constrained")
    axes = figure.subplots(1, 2 if delays else 1, squeeze=False)[0]
    _p_values(axes[0], clean, threshold)
    if delays:
        _delays(axes[1], delays)
    figure.suptitle(f"Calibration of {name}")
    figure.savefig(path, dpi=150)


def _p_values(ax: Axes, clean: FalseAlarms, threshold: float | None) -> None:
    shares = np.arange(1, len(clean.p_values) + 1) / len(clean.p_values)
    lowest = 0.5 / len(clean.p_values)
    ax.plot([lowest, 1.0], [lowest, 1.0], color=GREY, linewidth=1, label="as promised")
    ax.plot(np.maximum(clean.p_values, lowest), shares, color=INK, label="measured")
    if threshold is not None and threshold >= lowest:
        ax.axvline(threshold, color=MARK, linestyle="--", linewidth=1, label=f"threshold {threshold:.3g}")
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="p-value",
        ylabel="share of clean windows with at most this",
        title=f"{clean.windows:,} clean windows",
    )
    ax.legend()


def _delays(ax: Axes, delays: Sequence[Delay]) -> None:
    seen = [(delay.share, delay.events) for delay in delays if delay.events is not None]
    shares = [100.0 * share for share, _ in seen]
    means = np.array([events.value for _, events in seen])
    errors = np.array([(events.value - events.low, events.high - events.value) for _, events in seen])
    errors = np.where(np.isfinite(errors), errors, 0.0).reshape(-1, 2).T
    ax.errorbar(shares, means, yerr=errors, color=INK, marker="o", capsize=3)
    ax.set(
        yscale="log",
        xlabel="drifted events, %",
        ylabel="events until the alert",
        title="Delay (mean of the episodes with an alert)",
    )
