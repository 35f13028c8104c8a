"""A backtest in a few numbers a segment, so that configs can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from monitor.alerts.alert import rfc3339
from monitor.alerts.policy import AlertKind
from monitor.backtest.run import Backtest
from monitor.config import MonitorConfig


@dataclass(frozen=True)
class Summary:
    """What one config did with one segment.

    Attributes
    ----------
    config, monitor, segment
        Where.
    window, test
        How it was set, in words.
    windows, drifted
        Windows tested, and those that drifted.
    alerts
        Times that drift was detected.
    first_alert
        Time of the last event of the window that raised the first alert, in UTC; None without an alert.
    in_drift
        Share of windows after which the segment stood in drift.
    smallest_p
        Smallest p-value.
    """

    config: str
    monitor: str
    segment: str
    window: str
    test: str
    windows: int
    drifted: int
    alerts: int
    first_alert: str | None
    in_drift: float
    smallest_p: float


def summaries(backtests: Sequence[Backtest]) -> Iterator[Summary]:
    """Summarise every segment that had a verdict, by config and monitor."""
    for backtest in backtests:
        for monitor in backtest.monitors:
            for segment in monitor.segments.values():
                raised = segment.alerts(AlertKind.DETECTED)
                yield Summary(
                    config=backtest.name,
                    monitor=monitor.config.name,
                    segment=segment.segment,
                    window=window_in_words(monitor.config),
                    test=test_in_words(monitor.config),
                    windows=len(segment.verdicts),
                    drifted=segment.drifted,
                    alerts=len(raised),
                    first_alert=in_seconds(raised[0].end_ms) if raised else None,
                    in_drift=segment.in_drift / len(segment.verdicts),
                    smallest_p=min(verdict.p_value for verdict in segment.verdicts),
                )


def in_seconds(time_ms: int) -> str:
    """Write a time in milliseconds since 1970 as people read it, in UTC."""
    return rfc3339(time_ms)[: len("2026-11-20T12:00:00")].replace("T", " ")


def window_in_words(config: MonitorConfig) -> str:
    """Describe how windows are made."""
    window = config.window
    return f"{window.size}, hop {window.hop}" if window.overlaps else f"{window.size}"


def test_in_words(config: MonitorConfig) -> str:
    """Describe how windows are judged."""
    test = config.test
    promises = {
        name: value
        for name in ("p_val", "expected_run_time", "confidence", "fdr")
        if (value := getattr(test, name)) is not None
    }
    return ", ".join(
        [test.name, test.alternative, *(f"{name} {value:g}" for name, value in promises.items())]
    )
