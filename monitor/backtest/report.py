"""A backtest as one page with everything inside it: no file of another host, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import yaml

from monitor.backtest.figures import draw_comparison, draw_timeline, draw_worst_window
from monitor.backtest.outcome import MonitorOutcome, SegmentHistory
from monitor.backtest.run import Backtest
from monitor.backtest.summary import Summary, in_seconds, summaries

SEGMENTS_DRAWN = 12
"""Segments of a monitor that are drawn, those with the smallest p-values; the table has all."""
ROWS_SHOWN = 200
"""Rows of the summary; the table of verdicts has all."""


def write_report(backtests: Sequence[Backtest], source: str, path: Path) -> None:
    """Write the report.

    Parameters
    ----------
    backtests
        What the configs did with the events.
    source
        What to call the events.
    path
        The ``.html`` file.
    """
    page = Template((resources.files("monitor.backtest") / "report.html").read_text(encoding="utf-8"))
    first = backtests[0]
    spanned = (
        f"{in_seconds(first.start_ms)} to {in_seconds(first.end_ms)} UTC"
        if first.end_ms
        else "no full window"
    )
    content = page.substitute(
        source=escape(source),
        facts=escape(f"{first.events:,} events, {first.rejected:,} rejected; tested windows: {spanned}"),
        summary=_summary(list(summaries(backtests))),
        comparison="\n".join(_comparisons(backtests)) if len(backtests) > 1 else "",
        monitors="\n".join(_monitor(one, monitor) for one in backtests for monitor in one.monitors),
    )
    path.write_text(content, encoding="utf-8")


def _summary(rows: Sequence[Summary]) -> str:
    if not rows:
        return "<p>No window was full, so there is no verdict: fewer events than a window holds.</p>"
    rows = sorted(rows, key=lambda row: row.smallest_p)[:ROWS_SHOWN] if len(rows) > ROWS_SHOWN else rows
    heads = [field.name.replace("_", " ") for field in fields(Summary)]
    return _table(heads, [[_shown(value) for value in astuple(row)] for row in rows])


def _comparisons(backtests: Sequence[Backtest]) -> Iterator[str]:
    """Compare, segment by segment, what monitors at the same place of their configs did."""
    yield "<h2>Side by side</h2>"
    for place in range(min(len(backtest.monitors) for backtest in backtests)):
        monitors = [(backtest.name, backtest.monitors[place]) for backtest in backtests]
        for name in [segment.segment for segment in _worst_first(monitors[0][1])]:
            rows = [(title, m.segments[name]) for title, m in monitors if name in m.segments]
            yield f"<h3>{escape(monitors[0][1].config.name)} / {escape(name)}</h3>{draw_comparison(rows)}"


def _monitor(backtest: Backtest, monitor: MonitorOutcome) -> str:
    facts = [
        ("config", backtest.name),
        ("reference", f"{monitor.reference_version}, {len(monitor.reference):,} scores"),
        ("windows", f"{monitor.windows:,}, {monitor.drifted:,} drifted"),
        ("rejected", ", ".join(f"{n:,} {reason}" for reason, n in monitor.rejected.items()) or "none"),
    ]
    segments = _worst_first(monitor)
    left_out = len(monitor.segments) - len(segments)
    parts = [
        f"<section><h2>{escape(monitor.config.name)}</h2>",
        "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts) + "</dl>",
        *(_segment(monitor, segment) for segment in segments),
        f"<p>{left_out:,} more segments, none of them worse, are in the table.</p>" if left_out else "",
        _rejects(monitor),
        "<details><summary>Config of this monitor</summary><pre>",
        escape(_config(monitor)),
        "</pre></details></section>",
    ]
    return "\n".join(parts)


def _segment(monitor: MonitorOutcome, segment: SegmentHistory) -> str:
    assert segment.worst is not None  # noqa: S101 - a segment without a verdict has no history
    verdict = segment.worst.verdict
    test = monitor.config.test.name
    measured = "K-S distance" if test == "ks_2samp" else f"statistic of {test}"
    worst = (
        f"Window {verdict.sequence:,}, until {in_seconds(verdict.end_ms)}:"
        f" {measured} {verdict.statistic:.3g}, p-value {verdict.p_value:.3g}."
    )
    events = _table(
        ["event", "partition", "offset", "score"],
        [[_shown(e.id), str(e.partition), str(e.offset), f"{e.score:.4g}"] for e in segment.worst.examples],
    )
    return (
        f"<h3>Segment {escape(segment.segment)}</h3>{draw_timeline(segment)}"
        f"<h4>Worst window</h4><p>{escape(worst)}</p>{draw_worst_window(monitor, segment)}"
        f"<h4>Its highest-scoring events</h4>{events}"
    )


def _rejects(monitor: MonitorOutcome) -> str:
    if not monitor.rejects:
        return ""
    rows = [[str(p), str(o), reason, detail] for p, o, reason, detail in monitor.rejects]
    return "<h4>First rejected events</h4>" + _table(["partition", "offset", "reason", "detail"], rows)


def _worst_first(monitor: MonitorOutcome) -> list[SegmentHistory]:
    judged = [segment for segment in monitor.segments.values() if segment.worst is not None]
    return sorted(judged, key=lambda s: s.worst.verdict.p_value if s.worst else 1.0)[:SEGMENTS_DRAWN]


def _config(monitor: MonitorOutcome) -> str:
    written: Any = monitor.config.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(written, sort_keys=False)


def _table(heads: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)
