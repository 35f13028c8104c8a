"""The table that ``drift-monitor backtest`` shows."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from monitor.backtest.run import Backtest
from monitor.backtest.summary import summaries


def summary_table(backtests: Sequence[Backtest]) -> Table:
    """A row for each config, monitor and segment that had a verdict."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    places, counts = ("config", "monitor", "segment"), ("windows", "drifted", "alerts")
    for number, name in enumerate((*places, *counts, "first alert (UTC)", "smallest p")):
        table.add_column(name, justify="right" if 3 <= number != 6 else "left", no_wrap=True)
    for row in summaries(backtests):
        table.add_row(
            row.config,
            row.monitor,
            row.segment,
            f"{row.windows:,}",
            f"{row.drifted:,}",
            f"{row.alerts:,}",
            row.first_alert or "none",
            f"{row.smallest_p:.3g}",
        )
    return table
