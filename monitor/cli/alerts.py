"""``drift-monitor alerts``: follow the alert topics."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import click

from monitor.cli.failures import EXIT_RUNTIME
from monitor.cli.options import ExampleCommand, choose_monitor, config_option, read_config

_COLOURS = {"detected": "red", "ongoing": "yellow", "resolved": "green"}
_SHOWN_EXAMPLES = 3

WAIT_SECONDS = 0.25
"""How long an alert may wait for others before it is shown."""


@click.command(
    "alerts",
    cls=ExampleCommand,
    examples=[
        "drift-monitor alerts -c monitor.yaml",
        "drift-monitor alerts -c monitor.yaml --json --from-beginning --timeout 5",
    ],
)
@config_option
@click.option("-m", "--monitor", "monitor_name", metavar="NAME", help="Only alerts of this monitor.")
@click.option(
    "--from-beginning", is_flag=True, help="Begin with the oldest alert that the topic still holds."
)
@click.option("--json", "as_json", is_flag=True, help="Write the CloudEvents as they are, one a line.")
@click.option("--max", "most", type=click.IntRange(min=1), metavar="N", help="End after N alerts.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="End after this time.")
@click.pass_context
def alerts(
    ctx: click.Context,
    config_path: Path,
    monitor_name: str | None,
    from_beginning: bool,
    as_json: bool,
    most: int | None,
    timeout: float | None,
) -> None:
    """Show alerts as they are published, until Ctrl-C.

    With both --max and --timeout, the exit code is 1 when fewer alerts came in time.
    """
    config = read_config(config_path)
    chosen = config.monitors if monitor_name is None else (choose_monitor(config, monitor_name),)

    from confluent_kafka.admin import AclOperation

    from monitor.alerts.subscription import AlertSubscription
    from monitor.checks.findings import require
    from monitor.checks.kafka import TopicUse, check_kafka
    from monitor.config.kafka_properties import for_consumer

    keys: dict[str, list[str]] = {}
    for monitor in chosen:
        where = f"monitors[{config.monitors.index(monitor)}].alerts.topic"
        keys.setdefault(monitor.alerts.topic, []).append(where)
    uses = [TopicUse(topic, tuple(named), AclOperation.READ) for topic, named in keys.items()]
    require(check_kafka(config.kafka.properties, uses))

    names = {monitor.name for monitor in chosen}
    shown = 0
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    feed = AlertSubscription(for_consumer(config.kafka.properties), list(keys), from_beginning=from_beginning)
    try:
        if not as_json:
            click.echo(f"Following {', '.join(keys)}; Ctrl-C ends.", err=True)
        while time.monotonic() < deadline and shown != most:
            wait = min(WAIT_SECONDS, max(0.0, deadline - time.monotonic()))
            wanted = [event for event in feed.poll(wait) if event["data"]["monitor"] in names]
            for event in wanted[: None if most is None else most - shown]:
                click.echo(json.dumps(event) if as_json else describe(event))
                shown += 1
    except KeyboardInterrupt:
        return
    finally:
        feed.close()
    if most is not None and shown < most:
        ctx.exit(EXIT_RUNTIME)


def describe(event: dict[str, Any]) -> str:
    """Say in one paragraph what an alert reports.

    Parameters
    ----------
    event
        A CloudEvent that matches ``monitor/schemas/alert.schema.json``.
    """
    data = event["data"]
    window, test, reference, scores = data["window"], data["test"], data["reference"], data["scores"]
    kind = event["type"].split(".")[-2]
    segment = "" if data["segment"] == "all" else f" (segment {data['segment']})"
    headline = {
        "detected": "drift detected",
        "ongoing": f"drift goes on since {data['since']}",
        "resolved": "drift resolved",
    }[kind]
    sentences = [
        f"{event['time']} {data['monitor']}{segment}: {click.style(headline, fg=_COLOURS[kind])}.",
        f"Window {window['sequence']} of {window['size']} scores,"
        f" {window['start_time']} to {window['end_time']}:"
        f" p-value {test['p_value']:.3g} against {test['threshold']:g}"
        f" ({test['name']}, {test['alternative']}, statistic {test['statistic']:.3g}).",
        f"Mean score {scores['mean']:.3g}, reference {reference['mean']:.3g}.",
    ]
    if scores["flagged_fraction"] is not None:
        sentences.append(f"{scores['flagged_fraction']:.0%} of inputs flagged.")
    examples = [
        f"{_name(example)} ({example['score']:.3g})" for example in data["examples"][:_SHOWN_EXAMPLES]
    ]
    if examples and kind != "resolved":
        sentences.append(f"Highest: {', '.join(examples)}.")
    return " ".join(sentences)


def _name(example: dict[str, Any]) -> str:
    return example["id"] or f"{example['topic']}[{example['partition']}]@{example['offset']}"
