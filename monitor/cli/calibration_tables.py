"""The tables that ``drift-monitor calibrate`` shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from monitor.calibration.calibrate import HORIZON_WINDOWS, Delay, FalseAlarms
from monitor.calibration.intervals import Interval
from monitor.config import MonitorConfig


def clean_table(monitor: MonitorConfig, measured: FalseAlarms, run_time: float | None) -> Table:
    """False alarms on clean events beside the promise.

    Parameters
    ----------
    monitor
        The monitor.
    measured
        What happened.
    run_time
        Windows for each false alarm that it promises, if it promises any.
    """
    table = _table(f"{monitor.name}: {measured.windows:,} clean windows, {measured.events:,} events")
    for heading, justify in (("", "left"), ("promised", "right"), ("measured", "right"), ("95 %", "left")):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # a literal
    test = monitor.test
    share = "" if test.p_val is None else f"{test.p_val:.3%}"
    table.add_row("clean windows that drift", share, *_cells(measured.drifted, "{:.3%}"))
    promised = "" if run_time is None else f"{run_time:,.0f}"
    if test.confidence is not None:
        promised = f"≥ {promised}"
    table.add_row("windows for each false alarm", promised, *_cells(measured.run_time, "{:,.0f}"))
    policy = monitor.alerts
    within = policy.raise_within or policy.raise_after
    after = f"{policy.raise_after} of {within}" if within > policy.raise_after else f"{policy.raise_after}"
    table.add_row(
        f"windows for each alert (raised after {after})",
        "",
        *_cells(measured.windows_per_alert, "{:,.0f}"),
    )
    table.add_row("events for each alert", "", *_cells(measured.events_per_alert, "{:,.0f}"))
    return table


def delay_table(delays: Sequence[Delay], episodes: int) -> Table:
    """Windows and events until the alert, by the share of drifted events."""
    table = _table(f"Delay until the alert, {episodes} episodes each")
    headings = ("drifted", "detected", "windows", "95 %", "events", "95 %", "90 % within")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "95 %" else "right", no_wrap=True)
    for delay in delays:
        slowest = "" if delay.slowest_events is None else f"{delay.slowest_events:,.0f}"
        table.add_row(
            f"{delay.share:.0%}",
            f"{delay.detected.value:.0%}",
            *_cells(delay.windows, "{:,.1f}"),
            *_cells(delay.events, "{:,.0f}"),
            slowest,
        )
    table.caption = (
        f"Means over the episodes in which an alert came within {HORIZON_WINDOWS} windows' worth of events."
    )
    table.caption_justify = "left"
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")


def _cells(interval: Interval | None, form: str) -> tuple[str, str]:
    if interval is None:
        return "", ""
    low, high = (form.format(bound) if math.isfinite(bound) else "" for bound in interval[1:])
    if not math.isfinite(interval.value):
        return "none came", f"over {low}"
    return form.format(interval.value), f"{low}-{high}"
