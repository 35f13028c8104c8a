"""The figures as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def draw(path: Path, medians: Mapping[str, Mapping[str, float]]) -> None:
    """Draw events a second by contender, one panel a setting, on a logarithmic scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(medians), figsize=(5.5 * len(medians), 2.4), squeeze=False)
    for panel, (setting, rates) in zip(panels[0], medians.items(), strict=True):
        names = list(rates)[::-1]
        bars = panel.barh(
            names, [rates[name] for name in names], color=["#9aa5b1"] * (len(names) - 1) + ["#1f6feb"]
        )
        panel.bar_label(bars, fmt="{:,.0f}", padding=3)
        panel.set_xscale("log")
        panel.set_xlim(right=max(rates.values()) * 5)
        panel.set_xlabel("events/s")
        panel.set_title(setting)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[0][1:]:
        panel.set_yticks([])
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
