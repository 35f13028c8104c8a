"""Plots of scores, p-values and the K-S distance on matplotlib axes. Needs the extra ``plots``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError, NotReadyError
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = npt.NDArray[np.float64]

REFERENCE_COLOUR = "#7f7f7f"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours that colour-blind readers can tell apart: M. Okabe and K. Ito, "Color Universal Design", 2008."""

P_VALUE_FLOOR = 1e-6
"""Smaller p-values are drawn here: a logarithmic axis has no zero, and none of them needs telling apart."""


def plot_scores(
    samples: Mapping[str, npt.ArrayLike],
    *,
    threshold: float | None = None,
    bins: int = 40,
    ax: Axes | None = None,
) -> Axes:
    """Draw the distributions of several samples of scores over each other.

    Parameters
    ----------
    samples
        Scores, shape (n,), by name. The first, mostly the reference, is drawn as an area, the others as
        lines. Sizes may differ, since each histogram has an area of 1.
    threshold
        Score above which an instance is flagged; drawn as a line.
    bins
        Number of bins, the same ones for all samples.
    ax
        Axes to draw on; None takes new ones.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    InvalidArgumentError
        If there is no sample, or one is empty, not one-dimensional or not finite.
    NotReadyError
        If ``ax`` is None and matplotlib is not installed.
    """
    if not samples:
        raise InvalidArgumentError("There are no samples to plot; give at least one, by name.")
    scores = {name: _finite(values, f"Sample {name!r}") for name, values in samples.items()}
    ax = _axes(ax)
    edges = np.histogram_bin_edges(np.concatenate(list(scores.values())), bins=bins)
    for number, (name, values) in enumerate(scores.items()):
        density, _ = np.histogram(values, bins=edges, density=True)
        label = f"{name} ({len(values):,})"
        if number == 0:
            ax.stairs(density, edges, fill=True, color=REFERENCE_COLOUR, alpha=0.4, label=label)
        else:
            ax.stairs(density, edges, color=COLOURS[(number - 1) % len(COLOURS)], linewidth=1.6, label=label)
    if threshold is not None:
        ax.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold {threshold:.3g}")
    ax.set_xlabel("harmfulness score")
    ax.set_ylabel("density")
    ax.legend()
    return ax


def plot_p_values(
    p_values: npt.ArrayLike,
    x: npt.ArrayLike | None = None,
    *,
    threshold: float | None = None,
    label: str | None = None,
    floor: float = P_VALUE_FLOOR,
    ax: Axes | None = None,
    **line: Any,
) -> Axes:
    """Draw p-values on a logarithmic axis, with those below the threshold filled in.

    Parameters
    ----------
    p_values
        Shape (k,), each in [0, 1]; NaN leaves a gap.
    x
        Where to draw them, such as window numbers, times or percentages, shape (k,); None counts windows.
    threshold
        A p-value below it means drift; drawn as a line.
    label
        What the legend calls them.
    floor
        Smaller p-values are drawn at this one.
    ax
        Axes to draw on; None takes new ones. Call again with the same axes to add a line.
    line
        Properties of the line as in ``Axes.plot``, such as ``color`` or ``linestyle``.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.

    Raises
    ------
    InvalidArgumentError
        If there is a p-value that is none, or ``x`` has another length.
    NotReadyError
        If ``ax`` is None and matplotlib is not installed.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not (np.isnan(p) | ((p >= 0) & (p <= 1))).all():
        raise InvalidArgumentError("p_values must be a one-dimensional array of numbers from 0 to 1.")
    places = np.arange(len(p)) if x is None else np.asarray(x)
    if places.shape != p.shape:
        raise InvalidArgumentError(
            f"x has shape {places.shape}; it must have a place for each of {len(p)} p-values."
        )
    ax = _axes(ax)
    drawn = np.maximum(p, floor)
    (curve,) = ax.plot(places, drawn, label=label, marker="o", markersize=4, markerfacecolor="white", **line)
    if threshold is not None:
        below = p < threshold
        ax.plot(places[below], drawn[below], "o", markersize=4, color=curve.get_color())
        if not any(drawn_line.get_gid() == "threshold" for drawn_line in ax.lines):
            ax.axhline(threshold, color="black", linestyle=":", linewidth=1, gid="threshold")
    ax.set_yscale("log")
    ax.set_ylim(floor / 1.5, 1.5)
    ax.set_xlabel("window" if x is None else ax.get_xlabel())
    ax.set_ylabel("p-value")
    return ax


def plot_ecdf(
    reference: npt.ArrayLike, window: npt.ArrayLike, *, alternative: str = "two-sided", ax: Axes | None = None
) -> Axes:
    """Draw two empirical distribution functions and the K-S distance between them.

    Parameters
    ----------
    reference, window
        Scores, shapes (n,) and (m,), any order.
    alternative
        ``two-sided``, ``higher`` or ``lower``, as in `KolmogorovSmirnovTest`: which distance is drawn.
    ax
        Axes to draw on; None takes new ones.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; its title gives the statistic and the p-value.

    Raises
    ------
    InvalidArgumentError
        If a sample is empty, not one-dimensional or not finite, or the alternative is unknown.
    NotReadyError
        If ``ax`` is None and matplotlib is not installed.
    """
    x_ref, x_window = np.sort(_finite(reference, "The reference")), np.sort(_finite(window, "The window"))
    test = KolmogorovSmirnovTest(x_ref, alternative)
    result = test.test(x_window[None])
    place, low, high = _widest_gap(x_ref, x_window, test.alternative)
    ax = _axes(ax)
    ax.ecdf(x_ref, color=REFERENCE_COLOUR, label=f"reference ({len(x_ref):,})")
    ax.ecdf(x_window, color=COLOURS[0], label=f"window ({len(x_window):,})")
    ax.plot([place, place], [low, high], color=COLOURS[1], linewidth=2, label="K-S distance")
    ax.set_title(f"D = {result.statistic[0]:.3g}, p = {result.p_value[0]:.3g} ({test.alternative})")
    ax.set_xlabel("harmfulness score")
    ax.set_ylabel("share of scores not above")
    ax.legend(loc="lower right")
    return ax


def _widest_gap(reference: FloatArray, window: FloatArray, alternative: str) -> tuple[float, float, float]:
    """Where the distribution functions are furthest apart, and their values there."""
    places = np.concatenate([reference, window])
    of_reference = np.searchsorted(reference, places, side="right") / len(reference)
    of_window = np.searchsorted(window, places, side="right") / len(window)
    gap = of_reference - of_window
    widest = int(np.argmax({"two-sided": np.abs(gap), "higher": gap, "lower": -gap}[alternative]))
    return float(places[widest]), float(of_reference[widest]), float(of_window[widest])


def _finite(values: npt.ArrayLike, what: str) -> FloatArray:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or scores.size == 0 or not np.isfinite(scores).all():
        raise InvalidArgumentError(f"{what} must be a one-dimensional array of finite scores, at least one.")
    return scores


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise NotReadyError(
            "Plots need matplotlib; install the extra: pip install 'drift-monitor[plots]'."
        ) from None
    return pyplot.subplots()[1]
