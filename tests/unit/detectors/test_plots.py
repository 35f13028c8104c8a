"""Plots show the numbers that the tests and detectors give."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from detectors.errors import InvalidArgumentError
from detectors.plots import plot_ecdf, plot_p_values, plot_scores


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.mark.parametrize(
    ("alternative", "scipy_alternative"),
    [("two-sided", "two-sided"), ("higher", "greater"), ("lower", "less")],
)
def test_the_drawn_distance_is_the_statistic(ax: Axes, alternative: str, scipy_alternative: str) -> None:
    rng = np.random.default_rng(0)
    reference, window = rng.exponential(1, 300), rng.exponential(1.3, 50).round(1)
    expected = stats.ks_2samp(reference, window, alternative=scipy_alternative)

    plot_ecdf(reference, window, alternative=alternative, ax=ax)

    (distance,) = (line for line in ax.lines if line.get_label() == "K-S distance")
    place, heights = distance.get_xdata()[0], distance.get_ydata()
    assert abs(heights[1] - heights[0]) == pytest.approx(expected.statistic)
    assert heights[0] == np.mean(reference <= place)
    assert heights[1] == np.mean(window <= place)
    assert f"p = {expected.pvalue:.3g}" in ax.get_title()


def test_p_values_below_the_threshold_are_filled_and_tiny_ones_stay_on_the_axes(ax: Axes) -> None:
    plot_p_values([0.5, 0.04, 0.0, np.nan], threshold=0.05, floor=1e-6, ax=ax)

    curve, below, threshold = ax.lines
    assert curve.get_ydata()[:3].tolist() == [0.5, 0.04, 1e-6]
    assert below.get_xdata().tolist() == [1, 2]
    assert threshold.get_ydata() == [0.05, 0.05]
    assert ax.get_yscale() == "log"
    assert ax.get_ylim()[0] < 1e-6


def test_a_second_curve_does_not_repeat_the_threshold(ax: Axes) -> None:
    for label in ("mean", "maximum"):
        plot_p_values([0.5, 0.01], [0, 10], threshold=0.05, label=label, ax=ax)

    assert sum(list(line.get_ydata()) == [0.05, 0.05] for line in ax.lines) == 1
    assert ax.get_legend_handles_labels()[1] == ["mean", "maximum"]


def test_histograms_have_the_same_bins_and_an_area_of_one(ax: Axes) -> None:
    rng = np.random.default_rng(0)
    plot_scores(
        {"reference": rng.exponential(1, 1000), "window": rng.exponential(2, 100)}, threshold=3.0, ax=ax
    )

    steps = [patch.get_data() for patch in ax.patches]
    assert len(steps) == 2
    np.testing.assert_array_equal(steps[0].edges, steps[1].edges)
    for step in steps:
        assert np.sum(step.values * np.diff(step.edges)) == pytest.approx(1)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["reference (1,000)", "window (100)", "threshold 3"]


def test_without_axes_new_ones_are_made() -> None:
    from matplotlib import pyplot

    drawn = plot_ecdf([1.0, 2.0], [2.0, 3.0])
    assert drawn.figure.number in pyplot.get_fignums()
    pyplot.close(drawn.figure)


@pytest.mark.parametrize(
    ("draw", "fault"),
    [
        (lambda ax: plot_scores({}, ax=ax), "at least one"),
        (lambda ax: plot_scores({"window": [1.0, np.nan]}, ax=ax), "'window'"),
        (lambda ax: plot_ecdf([], [1.0], ax=ax), "reference"),
        (lambda ax: plot_p_values([0.5, 1.5], ax=ax), "0 to 1"),
        (lambda ax: plot_p_values([0.5, 0.5], [1], ax=ax), "2 p-values"),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax: Axes, draw: object, fault: str) -> None:
    with pytest.raises(InvalidArgumentError, match=fault):
        draw(ax)  # type: ignore[operator]
