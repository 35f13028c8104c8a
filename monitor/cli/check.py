"""``drift-monitor check``: whether everything is there that a worker needs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.failures import EXIT_SETUP
from monitor.cli.options import ExampleCommand, config_option, read_config
from monitor.cli.tensorflow_loading import load_tensorflow
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from monitor.checks.findings import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


@click.command("check", cls=ExampleCommand, examples=["drift-monitor check -c monitor.yaml"])
@config_option
@click.option(
    "--create-topics", is_flag=True, help="Create topics that are missing, with the broker's defaults."
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.pass_context
def check(ctx: click.Context, config_path: Path, create_topics: bool, as_json: bool) -> None:
    """Check config, detector bundles, Kafka, topics, permissions, Redis and references.

    Writes one line for each and exits with 0 when a worker could start, with 2 when it could not. A worker
    runs the same checks before it begins. With a section 'forward' it warns of rights that 'alerts forward'
    would lack as the same user. Nothing is consumed, and no secret is ever shown.
    """
    from monitor.checks.findings import Severity, failed, ok

    may_start = True

    def show(finding: Finding) -> None:
        nonlocal may_start
        may_start &= finding.severity is not Severity.FAILED
        if as_json:
            click.echo(json.dumps(asdict(finding)))
        else:
            severity = finding.severity.value
            mark = click.style(f"{severity:<8}", fg=_COLOURS[severity])
            click.echo(f"{mark}{finding.subject}: {finding.sentence}")

    try:
        config = read_config(config_path)
    except ConfigError as error:
        for line in str(error).splitlines():
            show(failed("config", line))
    else:
        n_monitors = len(config.monitors)
        show(ok("config", f"{config_path}: {n_monitors} monitor{'' if n_monitors == 1 else 's'}"))
        # This takes seconds; a wrong config is told at once.
        load_tensorflow()
        from monitor.checks.setup import check_all

        for finding in check_all(config, create_topics=create_topics, forwarder=True):
            show(finding)
    ctx.exit(0 if may_start else EXIT_SETUP)
