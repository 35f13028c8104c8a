"""``drift-monitor alerts``: follow the alert topics, or hand alerts on."""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.failures import EXIT_RUNTIME
from monitor.cli.options import (
    ExampleCommand,
    ExampleGroup,
    choose_monitor,
    config_option,
    optional_config_option,
    read_config,
)
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.alerts.received import AlertExample, ReceivedAlert
    from monitor.config import Config, MonitorConfig

log = logging.getLogger(__name__)

_COLOURS = {"detected": "red", "ongoing": "yellow", "resolved": "green"}
_SHOWN_EXAMPLES = 3

WAIT_SECONDS = 0.25
"""How long an alert may wait for others before it is shown."""


@click.group(
    "alerts",
    cls=ExampleGroup,
    invoke_without_command=True,
    examples=[
        "drift-monitor alerts -c monitor.yaml",
        "drift-monitor alerts -c monitor.yaml --json --from-beginning --timeout 5",
        "drift-monitor alerts forward -c monitor.yaml",
    ],
)
@optional_config_option
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
    config_path: Path | None,
    monitor_name: str | None,
    from_beginning: bool,
    as_json: bool,
    most: int | None,
    timeout: float | None,
) -> None:
    """Show alerts as they are published, until Ctrl-C.

    With both --max and --timeout, the exit code is 1 when fewer alerts came in time.
    """
    if ctx.invoked_subcommand is not None:
        return
    if config_path is None:
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    config = read_config(config_path)
    chosen = config.monitors if monitor_name is None else (choose_monitor(config, monitor_name),)

    from monitor.alerts.subscription import AlertSubscription
    from monitor.config.kafka_properties import for_consumer

    topics = _readable_topics(config, chosen)
    names = {monitor.name for monitor in chosen}
    shown = 0
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    feed = AlertSubscription(for_consumer(config.kafka.properties), topics, from_beginning=from_beginning)
    try:
        if not as_json:
            click.echo(f"Following {', '.join(topics)}; Ctrl-C ends.", err=True)
        while time.monotonic() < deadline and shown != most:
            wait = min(WAIT_SECONDS, max(0.0, deadline - time.monotonic()))
            wanted = [alert for alert in feed.poll(wait) if alert.monitor in names]
            for alert in wanted[: None if most is None else most - shown]:
                click.echo(json.dumps(alert.event) if as_json else describe(alert))
                shown += 1
    except KeyboardInterrupt:
        return
    finally:
        feed.close()
    if most is not None and shown < most:
        ctx.exit(EXIT_RUNTIME)


@alerts.command(
    "forward",
    cls=ExampleCommand,
    short_help="Hand alerts on to Alertmanager and webhooks.",
    examples=["drift-monitor alerts forward -c monitor.yaml"],
)
@config_option
def forward(config_path: Path) -> None:
    """Hand alerts on to Alertmanager and webhooks, until SIGTERM or Ctrl-C.

    Each receiver of the section 'forward' gets every alert, in order, and is tried again until it takes it.
    What it took is committed to Kafka for a consumer group of its own; one that is away holds up no other.
    """
    config = read_config(config_path)
    if config.forward is None:
        raise SetupError(f"{config_path} has no section 'forward', which names the receivers of alerts.")

    from monitor.config.kafka_properties import for_consumer
    from monitor.forwarding.forwarder import Forwarder, forward_all
    from monitor.logs import configure_logging

    configure_logging(config.worker.log_format, config.worker.log_level)
    topics = _readable_topics(config, config.monitors)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    forwarders = [
        Forwarder(
            target,
            for_consumer(config.kafka.properties),
            topics,
            config.forward.group_of(target),
            frozenset(monitor.name for monitor in config.monitors),
            stopping,
        )
        for target in config.forward.targets
    ]
    log.info(
        "Forwarding alerts of %s to %s.", ", ".join(topics), ", ".join(t.name for t in config.forward.targets)
    )
    forward_all(forwarders, stopping)
    log.info("Stopped.")


def _readable_topics(config: Config, monitors: Sequence[MonitorConfig]) -> list[str]:
    """Return the alert topics of monitors; all can be read then.

    Raises
    ------
    SetupError
        If one cannot.
    """
    from confluent_kafka.admin import AclOperation

    from monitor.checks.findings import require
    from monitor.checks.kafka import TopicUse, check_kafka

    keys: dict[str, list[str]] = {}
    for monitor in monitors:
        where = f"monitors[{config.monitors.index(monitor)}].alerts.topic"
        keys.setdefault(monitor.alerts.topic, []).append(where)
    uses = [TopicUse(topic, tuple(named), AclOperation.READ) for topic, named in keys.items()]
    require(check_kafka(config.kafka.properties, uses))
    return list(keys)


def describe(alert: ReceivedAlert) -> str:
    """Say in one paragraph what an alert reports."""
    window, test = alert.window, alert.test
    segment = "" if alert.segment == "all" else f" (segment {alert.segment})"
    headline = {
        "detected": "drift detected",
        "ongoing": f"drift goes on since {alert.event['data']['since']}",
        "resolved": "drift resolved",
    }[alert.kind.value]
    times = alert.event["data"]["window"]
    sentences = [
        f"{alert.event['time']} {alert.monitor}{segment}:"
        f" {click.style(headline, fg=_COLOURS[alert.kind.value])}.",
        f"Window {window.sequence} of {window.size} scores,"
        f" {times['start_time']} to {times['end_time']}:"
        f" p-value {test.p_value:.3g} against {test.threshold:g}"
        f" ({test.name}, {test.alternative}, statistic {test.statistic:.3g}).",
        f"Mean score {alert.scores.mean:.3g}, reference {alert.reference.mean:.3g}.",
    ]
    if alert.scores.flagged_fraction is not None:
        sentences.append(f"{alert.scores.flagged_fraction:.0%} of inputs flagged.")
    examples = [f"{_name(example)} ({example.score:.3g})" for example in alert.examples[:_SHOWN_EXAMPLES]]
    if examples and alert.kind.value != "resolved":
        sentences.append(f"Highest: {', '.join(examples)}.")
    return " ".join(sentences)


def _name(example: AlertExample) -> str:
    return example.id or f"{example.topic}[{example.partition}]@{example.offset}"
