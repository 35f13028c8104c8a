"""The verdicts of a backtest as a table: CSV, Parquet or JSON, one row a window."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monitor.alerts.alert import rfc3339
from monitor.backtest.formats import pyarrow_and_parquet
from monitor.backtest.run import Backtest

COLUMNS = (
    "config",
    "monitor",
    "segment",
    "sequence",
    "size",
    "start_time",
    "end_time",
    "statistic",
    "p_value",
    "threshold",
    "drift",
    "state",
    "alert",
    "mean",
    "max",
    "flagged_fraction",
    "offsets",
    "examples",
    "reference",
)


def write_table(backtests: Sequence[Backtest], path: Path) -> None:
    """Write all verdicts, by config, monitor, segment and window.

    Numbers are written in full. ``offsets`` are ``[partition, first, last]`` and ``examples``
    ``[id, partition, offset, score]``, as JSON where the format has no lists.

    Parameters
    ----------
    backtests
        What there is to write.
    path
        The file; `check_table_path` has nothing against it.
    """
    suffix = path.suffix.lower()
    rows = _rows(backtests)
    if suffix == ".json":
        path.write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")
        return
    flat = [
        {name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()}
        for row in rows
    ]
    names = list(flat[0]) if flat else COLUMNS
    if suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, lineterminator="\n")
            writer.writeheader()
            writer.writerows(flat)
        return
    pyarrow, parquet = pyarrow_and_parquet()
    columns = {name: [row[name] for row in flat] for name in names}
    parquet.write_table(pyarrow.table(columns), path)


def _rows(backtests: Sequence[Backtest]) -> Iterator[dict[str, Any]]:
    for backtest in backtests:
        for monitor in backtest.monitors:
            for segment in monitor.segments.values():
                told = zip(segment.verdicts, segment.examples, segment.moments, strict=True)
                for verdict, examples, moment in told:
                    values = (
                        backtest.name,
                        monitor.config.name,
                        segment.segment,
                        verdict.sequence,
                        verdict.size,
                        rfc3339(verdict.start_ms),
                        rfc3339(verdict.end_ms),
                        verdict.statistic,
                        verdict.p_value,
                        verdict.threshold,
                        verdict.drift,
                        moment.state.value,
                        None if moment.alert is None else moment.alert.value,
                        verdict.mean,
                        verdict.max,
                        verdict.flagged_fraction,
                        [[partition, *span] for partition, span in sorted(verdict.offsets.items())],
                        [[e.id, e.partition, e.offset, e.score] for e in examples],
                        verdict.reference,
                    )
                    yield dict(zip(COLUMNS, values, strict=True))
