"""``drift-monitor backtest``: what a config would have done with events of the past."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.cli.options import ExampleCommand, check_output_file, choose_monitor, monitor_option, read_config
from monitor.cli.progress import counting_progress
from monitor.cli.sources import read_events_file
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.backtest.recorded import RecordedEvents
    from monitor.backtest.run import Backtest
    from monitor.config import Config, MonitorConfig

TABLE_WIDTH = 110
"""Columns that the table takes; on a narrower terminal its lines are broken rather than cut."""


@click.command(
    "backtest",
    cls=ExampleCommand,
    examples=[
        "drift-monitor backtest events.jsonl -c monitor.yaml --report report.html",
        "drift-monitor backtest -c monitor.yaml --from 2026-11-01T00:00:00Z --output verdicts.csv",
        "drift-monitor backtest events.npz -c monitor.yaml --compare larger.yaml --report report.html",
    ],
)
@click.argument("events", type=click.Path(path_type=Path), required=False)
@click.option(
    "-c",
    "--config",
    "configs",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="FILE",
    help="The config, such as monitor.yaml; several are compared.",
)
@click.option(
    "--compare",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Another config to compare with; may be repeated.",
)
@monitor_option
@click.option(
    "--topic", metavar="NAME", help="Topic to read, or that EVENTS came from; the input by default."
)
@click.option(
    "--from", "begin", metavar="PLACE", help="Where in the topic to begin; its beginning by default."
)
@click.option(
    "--to", "end", metavar="PLACE", help="Before where to end; what is the topic's end now by default."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N events only.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1000.0,
    show_default=True,
    metavar="R",
    help="Events a second, for events of a file that have no time.",
)
@click.option("--data-key", metavar="NAME", help="Array of the .npz, or column of the .parquet file.")
@click.option(
    "--divide-by", type=click.FloatRange(min=0, min_open=True), metavar="NUMBER", help="As in 'fit'."
)
@click.option("--predictions", metavar="SOURCE", help="The model's probabilities, when in another file.")
@click.option("--predictions-key", metavar="NAME", help="Array or column of the predictions.")
@click.option(
    "--live-reference", is_flag=True, help="Test against what is in force in Redis, not the bundle's."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the verdicts to this .csv, .parquet or .json file.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a page of plots to this .html file, with all that it needs inside.",
)
def backtest(
    events: Path | None,
    configs: tuple[Path, ...],
    compare: tuple[Path, ...],
    monitor_name: str | None,
    topic: str | None,
    begin: str | None,
    end: str | None,
    limit: int | None,
    rate: float,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
    live_reference: bool,
    output: Path | None,
    report: Path | None,
) -> None:
    """Find what a config would have done with events of the past.

    EVENTS is a .jsonl file, an event a line as the monitor reads them, or a .npy, .npz or .parquet file of
    instances and predictions. Without it the monitor's topic is read, from PLACE to PLACE: an offset of every
    partition, or a time such as 2026-11-01T00:00:00Z.

    The worker's own pipeline does the work, with its state in memory: no window, verdict or offset of the
    deployed monitors is touched, and no alert is sent. The clock is that of the events.
    """
    if report is not None and find_spec("matplotlib") is None:
        raise SetupError("--report needs matplotlib; install the extra: pip install 'drift-monitor[plots]'.")
    if report is not None:
        check_output_file(report, "--report")
    if output is not None:
        from monitor.backtest.formats import check_table_path

        check_table_path(output)
        check_output_file(output, "--output")
    paths = [*configs, *compare]
    loaded = [read_config(path) for path in paths]
    chosen = [_monitors(config, monitor_name, topic) for config in loaded]
    array_options = (data_key, divide_by, predictions, predictions_key)
    if events is None:
        if any(option is not None for option in array_options):
            raise SetupError("A topic has no arrays; leave out the options for arrays, or name a file.")
        from monitor.backtest.topic import events_of_topic

        recorded = events_of_topic(loaded[0], chosen[0][0], topic, begin, end, limit)
    elif begin is not None or end is not None:
        raise SetupError("--from and --to are places in a topic; leave them out, or the file.")
    else:
        recorded = _of_file(events, chosen[0], rate, limit, *array_options)

    load_tensorflow()
    from dataclasses import replace

    from monitor.backtest.run import run_backtest
    from monitor.bundle_shelf import BundleShelf
    from monitor.garbage import spare_what_is_loaded

    bundles = BundleShelf()
    spare_what_is_loaded()
    backtests: list[Backtest] = []
    for name, config, monitors in zip(_names(paths), loaded, chosen, strict=True):
        references = _live_references(config, monitors) if live_reference else None
        with counting_progress(f"Backtest of {name}", recorded.total) as show:
            backtests.append(
                run_backtest(
                    name,
                    config,
                    monitors,
                    replace(recorded, topic=monitors[0].input.topic),
                    bundles=bundles,
                    references=references,
                    show=show,
                )
            )
    if output is not None:
        from monitor.backtest.table import write_table

        write_table(backtests, output)
    if report is not None:
        from monitor.backtest.report import write_report

        write_report(backtests, recorded.source, report)
    _show(backtests)


def _monitors(config: Config, name: str | None, topic: str | None) -> list[MonitorConfig]:
    """Choose the monitors to run: the one named, or all of one topic, which share its events."""
    if name is not None:
        return [choose_monitor(config, name)]
    topics = {monitor.input.topic for monitor in config.monitors}
    if len(topics) > 1:
        if topic not in topics:
            return [choose_monitor(config, name)]
        topics = {topic}
    return [monitor for monitor in config.monitors if monitor.input.topic in topics]


def _of_file(
    path: Path,
    monitors: list[MonitorConfig],
    rate: float,
    limit: int | None,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
) -> RecordedEvents:
    from monitor.backtest.recorded import events_of_arrays, events_of_lines
    from monitor.sending import EventFormat

    if not path.is_file():
        raise SetupError(f"There is no file {path}.")
    first = monitors[0]
    if path.suffix.lower() == ".jsonl":
        if any(option is not None for option in (data_key, divide_by, predictions, predictions_key)):
            raise SetupError("The lines of a .jsonl file are events; leave out the options for arrays.")
        return events_of_lines(path, first.input.topic, rate=rate, limit=limit)
    sample = read_events_file(path, data_key, divide_by, predictions, predictions_key, limit)
    if sample.predictions is None and first.prediction == "event":
        raise SetupError(
            f"{path} holds no predictions, which monitor {first.name!r} expects in its events; give them with"
            " --predictions or --predictions-key."
        )
    form = EventFormat(first.input.format, first.input.event_fields, first.input.model)
    return events_of_arrays(sample, form, path, first.input.topic, rate=rate)


def _names(paths: list[Path]) -> list[str]:
    stems = [path.stem for path in paths]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in paths]


def _live_references(config: Config, monitors: list[MonitorConfig]) -> dict[str, Any]:
    """Read the references in force; monitors that have none yet are left to their bundle's."""
    from monitor.stores.in_redis import RedisStores
    from streams.state.redis_connection import RedisConnection

    connection = RedisConnection(**config.redis.connection_options())
    try:
        stores = RedisStores(connection, config.redis.prefix)
        found = {monitor.name: stores.references(monitor) for monitor in monitors}
        return {
            name: references.get(version)
            for name, references in found.items()
            if (version := references.current()) is not None
        }
    finally:
        connection.close()


def _show(backtests: list[Backtest]) -> None:
    from rich.console import Console

    from monitor.cli.backtest_tables import summary_table

    Console(width=max(Console().width, TABLE_WIDTH)).print(summary_table(backtests))
    for one in backtests:
        rate = one.events / max(one.seconds, 1e-9)
        spanned = (one.end_ms - one.start_ms) / 1000
        click.echo(
            f"{one.name}: {one.events:,} events, {one.rejected:,} rejected, in {one.seconds:.1f} s"
            f" ({rate:,.0f}/s, {spanned / max(one.seconds, 1e-9):,.0f} times as fast as they came).",
            err=True,
        )
