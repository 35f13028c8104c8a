"""``drift-monitor bench``: what one worker sustains here."""

from __future__ import annotations

import json
import signal
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.options import ExampleCommand, choose_monitor, config_option, monitor_option, read_config
from monitor.cli.tensorflow_loading import load_tensorflow

if TYPE_CHECKING:
    from monitor.bench.bench import BenchReport
    from monitor.bench.delay import Delays
    from monitor.bench.events import Event
    from monitor.config import Config, MonitorConfig


@click.command(
    "bench",
    cls=ExampleCommand,
    examples=[
        "drift-monitor bench -c monitor.yaml",
        "drift-monitor bench -c monitor.yaml --events-from events.jsonl --rate 5000 --json",
    ],
)
@config_option
@monitor_option
@click.option(
    "--events-from",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A .jsonl file with an event on each line; random events of the right shape by default.",
)
@click.option(
    "--events",
    type=click.IntRange(min=200),
    metavar="N",
    help="Events to drain; by default about 100 MB, at most 300,000.",
)
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Partitions of the temporary topic.",
)
@click.option(
    "--segments",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Segments that random events are spread over, where the monitor has segments.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often the topic is drained; medians are told.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    default=1000.0,
    show_default=True,
    help="Events per second at which delays are measured.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    help="How long delays are measured; 0 for not at all.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one line of JSON.")
def bench(
    config_path: Path,
    monitor_name: str | None,
    file: Path | None,
    events: int | None,
    partitions: int,
    segments: int,
    rounds: int,
    rate: float,
    seconds: float,
    as_json: bool,
) -> None:
    """Measure what one worker sustains with this config, broker and Redis.

    Fills a temporary topic, drains it with a loop that only consumes, then with the real worker, and measures
    delays at a steady rate. All monitors that read the chosen monitor's topic take part. Topics, consumer
    groups and Redis keys are the benchmark's own and are removed at the end, also after Ctrl-C; the topics'
    and groups' names begin with drift-monitor-bench.
    """
    # So that SIGTERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = read_config(config_path)
    chosen = choose_monitor(config, monitor_name)
    monitors = [monitor for monitor in config.monitors if monitor.input.topic == chosen.input.topic]
    source = _events(config, chosen, file, segments)

    from monitor.bench.bench import Plan, measure

    plan = Plan(rounds=rounds, events=events, partitions=partitions, rate=rate, seconds=seconds)
    report = measure(config, monitors, source, plan, lambda sentence: click.echo(sentence, err=True))
    if as_json:
        click.echo(json.dumps(_as_json(report, len(monitors))))
    else:
        _show(report)


def _events(config: Config, monitor: MonitorConfig, file: Path | None, segments: int) -> Sequence[Event]:
    from monitor.bench.events import events_of_file, random_events

    if file is not None:
        return events_of_file(file)
    load_tensorflow()
    from detectors import load_bundle
    from monitor.watch import event_schema

    return random_events(monitor, event_schema(monitor, load_bundle(monitor.detector)), segments)


def _as_json(report: BenchReport, n_monitors: int) -> dict[str, Any]:
    def delays(found: Delays | None) -> dict[str, float] | None:
        return None if found is None else {"p50": found.p50, "p99": found.p99, "count": found.count}

    return {
        "monitors": n_monitors,
        "events": report.events,
        "event_bytes": report.event_bytes,
        "bare_events_per_second": report.bare_per_second,
        "worker_events_per_second": report.worker_per_second,
        "ratio": report.ratio,
        "cpu_seconds_per_million_events": _median(report, "cpu_seconds_per_million"),
        "stages": _stages(report),
        "resident_mb": _median(report, "resident_mb"),
        "resident_at_start_mb": _median(report, "resident_at_start_mb"),
        "seconds_to_first_event": _median(report, "seconds_to_first"),
        "rate": None if report.delays is None else report.delays.rate,
        "counted_ms": None if report.delays is None else delays(report.delays.counted),
        "alert_ms": None if report.delays is None else delays(report.delays.alert),
    }


def _show(report: BenchReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column()
    table.add_row("bare drain", f"{report.bare_per_second:,.0f}", "events/s")
    table.add_row("one worker", f"{report.worker_per_second:,.0f}", "events/s")
    table.add_row("ratio", f"{report.ratio:.2f}")
    table.add_row("processor", f"{_median(report, 'cpu_seconds_per_million'):.2f}", "s per million events")
    for stage, share in sorted(_stages(report).items(), key=lambda one: -one[1]):
        table.add_row(f"  {stage}", f"{share:.0%}", "of the time")
    resident, at_start = _median(report, "resident_mb"), _median(report, "resident_at_start_mb")
    table.add_row("memory", f"{resident:,.0f}", f"MiB; {at_start:,.0f} with nothing consumed")
    table.add_row("start", f"{_median(report, 'seconds_to_first'):.1f}", "s to the first event")
    if report.delays is not None:
        found = {"counted": report.delays.counted, "alert visible": report.delays.alert}
        for what, delays in found.items():
            if delays is None:
                table.add_row(what, "-", "no window was full; measure longer with --seconds")
            else:
                described = f"ms, p99 {delays.p99:.0f} ms, at {report.delays.rate:,.0f} events/s"
                table.add_row(what, f"{delays.p50:.0f}", described)
    Console(soft_wrap=True).print(table)


def _median(report: BenchReport, attribute: str) -> float:
    return float(statistics.median(getattr(one, attribute) for one in report.drained))


def _stages(report: BenchReport) -> dict[str, float]:
    names = {stage for one in report.drained for stage in one.stages}
    return {
        name: statistics.median(one.stages.get(name, 0.0) for one in report.drained) for name in sorted(names)
    }
