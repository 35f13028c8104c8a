"""``drift-monitor reference``: what windows are tested against."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.options import (
    ExampleCommand,
    ExampleGroup,
    check_output_file,
    choose_monitor,
    config_option,
    monitor_option,
    read_config,
)
from monitor.cli.sources import data_options, read_sample
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.config import Config, MonitorConfig
    from streams.state.reference_store import ReferenceStore, StoredReference


@click.group(
    "reference",
    cls=ExampleGroup,
    examples=[
        "drift-monitor reference build --bundle models/churn --data last_month.npy",
        "drift-monitor reference push -c monitor.yaml --promote",
        "drift-monitor reference list -c monitor.yaml",
        "drift-monitor reference rollback -c monitor.yaml",
    ],
)
def reference() -> None:
    """Build references, store them in Redis, and choose which one is in force.

    A reference is the sorted scores of clean data. It is named by its content (sha256:...), never changes,
    and all workers of a monitor test against the one in force; a promotion or rollback takes effect with
    their next batch.
    """


@reference.command(
    "build",
    cls=ExampleCommand,
    examples=["drift-monitor reference build --bundle models/churn --data last_month.npy"],
)
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Bundle whose detector scores.",
)
@data_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the scores to this .npy file and leave the bundle as it is.",
)
def build(
    bundle: Path,
    data: str,
    data_key: str | None,
    divide_by: float | None,
    predictions: str | None,
    predictions_key: str | None,
    output: Path | None,
) -> None:
    """Score clean data and keep the scores as the bundle's reference.

    The detector stays the same. Workers go on with the reference in force until the new one is pushed and
    promoted.
    """
    sample = read_sample(data, data_key, divide_by, predictions, predictions_key)
    if output is not None and output.suffix != ".npy":
        raise SetupError(f"--output: {output} must end in .npy.")
    if output is not None:
        check_output_file(output, "--output")

    import numpy as np

    load_tensorflow()
    from detectors import ModelDistillation, load_bundle, save_detector
    from detectors.instances import read_instances
    from streams.state.reference_store import reference_version

    detector = load_bundle(bundle).detector
    if not isinstance(detector, ModelDistillation):
        raise SetupError(
            f"{bundle} holds a {type(detector).__name__}, which has no scores; it must be a"
            " ModelDistillation."
        )
    if detector.model is None and sample.predictions is None:
        raise SetupError(f"{bundle} holds no teacher; give its probabilities with --predictions.")
    instances = read_instances(sample.instances, detector.input_shape, f"--data: {data}")
    scores = detector.score(instances, predictions=sample.predictions)
    if output is None:
        save_detector(detector, bundle, reference=scores, overwrite=True)
    else:
        np.save(output, np.sort(scores), allow_pickle=False)
    click.echo(
        f"{output or bundle}: reference of {len(scores):,} scores, mean {np.mean(scores):.4g},"
        f" {reference_version(scores)}"
    )


@reference.command(
    "push",
    cls=ExampleCommand,
    examples=["drift-monitor reference push -c monitor.yaml --monitor churn --promote"],
)
@config_option
@monitor_option
@click.option(
    "--file", "source", metavar="FILE", help="Scores in a .npy file; the bundle's reference by default."
)
@click.option("--promote", is_flag=True, help="Put it in force at once.")
def push(config_path: Path, monitor_name: str | None, source: str | None, promote: bool) -> None:
    """Store a reference in Redis.

    The first reference of a monitor is put in force; later ones when they are promoted.
    """
    config = read_config(config_path)
    monitor = choose_monitor(config, monitor_name)

    load_tensorflow()
    from detectors import load_bundle
    from detectors.bundles.reference_file import sorted_scores
    from monitor.samples.arrays import read_array

    if source is not None:
        scores = sorted_scores(read_array(source, None, "--file"))
    else:
        bundled = load_bundle(monitor.detector).reference
        if bundled is None:
            raise SetupError(
                f"{monitor.detector} holds no reference; build one with 'drift-monitor reference build'."
            )
        scores = bundled
    with _store(config, monitor) as store:
        if promote:
            version = store.put(scores)
            store.promote(version)
        else:
            version = store.put(scores)
            store.adopt(scores)
        in_force = store.current() == version
    state = (
        "in force" if in_force else f"stored; put it in force with: drift-monitor reference promote {version}"
    )
    click.echo(f"{monitor.name}: {version}, {len(scores):,} scores, {state}")


@reference.command("list", cls=ExampleCommand, examples=["drift-monitor reference list -c monitor.yaml"])
@config_option
@click.option("-m", "--monitor", "monitor_name", metavar="NAME", help="Only this monitor's.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
def list_references(config_path: Path, monitor_name: str | None, as_json: bool) -> None:
    """List the stored references, newest first."""
    config = read_config(config_path)
    monitors = config.monitors if monitor_name is None else (choose_monitor(config, monitor_name),)
    found: list[tuple[str, StoredReference]] = []
    for monitor in monitors:
        with _store(config, monitor) as store:
            found += [(monitor.name, stored) for stored in store.list()]
    if as_json:
        for name, stored in found:
            click.echo(json.dumps({"monitor": name, **asdict(stored)}))
    elif not found:
        click.echo("No reference is stored; the first worker stores the bundle's, or 'reference push' does.")
    else:
        _show_table(found)


@reference.command(
    "promote",
    cls=ExampleCommand,
    short_help="Put a stored reference in force.",
    examples=["drift-monitor reference promote sha256:3f9a -c monitor.yaml"],
)
@click.argument("version")
@config_option
@monitor_option
def promote_version(version: str, config_path: Path, monitor_name: str | None) -> None:
    """Put a stored reference in force; the beginning of its VERSION is enough."""
    config = read_config(config_path)
    monitor = choose_monitor(config, monitor_name)
    with _store(config, monitor) as store:
        full = _complete(version, [stored.version for stored in store.list()], monitor.name)
        store.promote(full)
    click.echo(f"{monitor.name}: {full} is in force")


@reference.command(
    "rollback",
    cls=ExampleCommand,
    short_help="Put the reference before it in force again.",
    examples=["drift-monitor reference rollback -c monitor.yaml"],
)
@config_option
@monitor_option
def rollback(config_path: Path, monitor_name: str | None) -> None:
    """Put the reference in force again that was so before the current one."""
    config = read_config(config_path)
    monitor = choose_monitor(config, monitor_name)
    with _store(config, monitor) as store:
        version = store.rollback()
    click.echo(f"{monitor.name}: {version} is in force again")


@contextmanager
def _store(config: Config, monitor: MonitorConfig) -> Iterator[ReferenceStore]:
    """Lend the references of a monitor, once Redis has shown that it can be used."""
    from monitor.checks.findings import require
    from monitor.checks.redis import check_redis, connect
    from monitor.checks.redis_rights import REFERENCES
    from streams.state.redis_keys import MonitorKeys
    from streams.state.reference_store import ReferenceStore

    connection = connect(config)
    try:
        require(check_redis(config, connection, REFERENCES))
        yield ReferenceStore(connection, MonitorKeys(config.redis.prefix, monitor.name))
    finally:
        connection.close()


def _complete(version: str, stored: list[str], monitor: str) -> str:
    wanted = version if version.startswith("sha256:") else f"sha256:{version}"
    matches = [name for name in stored if name.startswith(wanted)]
    if not matches:
        raise SetupError(f"Monitor {monitor!r} has no stored reference {version}; see 'reference list'.")
    if len(matches) > 1:
        raise SetupError(
            f"{len(matches)} stored references of monitor {monitor!r} begin with {version}; give more of it."
        )
    return matches[0]


def _show_table(found: list[tuple[str, StoredReference]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("monitor", "version", "scores", "mean", "stored", ""):
        table.add_column(heading, justify="right" if heading in ("scores", "mean") else "left", no_wrap=True)
    for name, stored in found:
        moment = datetime.fromtimestamp(stored.stored_ms / 1000, tz=timezone.utc)
        table.add_row(
            name,
            stored.version[:19],
            f"{stored.size:,}",
            f"{stored.mean:.4g}",
            f"{moment:%Y-%m-%d %H:%M}Z",
            "in force" if stored.in_force else "",
        )
    Console(soft_wrap=True).print(table)
