"""Entry point of ``drift-monitor``."""

from __future__ import annotations

import click

from monitor.cli.command_line import PROGRAM, CommandLine

SUBCOMMANDS = {
    "demo": "See it at work on this machine: a drift comes and goes in a minute.",
    "fit": "Distil a classifier and write the detector bundle.",
    "reference": "Build, store and switch what windows are tested against.",
    "calibrate": "Measure false alarms on clean data, and the delay until drift is seen.",
    "backtest": "Find what a config would have done with events of the past.",
    "check": "Check config, bundles, Kafka, topics, Redis and references.",
    "reset": "Drop a monitor's open windows, to give it windows of another size.",
    "worker": "Watch the input topics and publish alerts.",
    "bench": "Measure what one worker sustains on your Kafka and Redis.",
    "alerts": "Follow the alerts, or hand them on to Alertmanager and webhooks.",
    "dashboard": "Show all monitors and segments as a live web page.",
    "send": "Publish inference events from a file.",
    "experiment": "Repeat the published study of harmful drift, on your data or on digits.",
}


@click.group(
    cls=CommandLine,
    subcommands=SUBCOMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with 'drift-monitor demo'. Every command explains itself: drift-monitor COMMAND --help",
)
@click.version_option(None, "-V", "--version", package_name=PROGRAM, prog_name=PROGRAM)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Watch a deployed classifier's Kafka stream for drift that harms its predictions.

    A distilled copy of the classifier scores how harmful each input is. Windows of scores are tested against
    those of clean data, and an alert is published when a model's inputs have drifted in a way that hurts it.
    """


if __name__ == "__main__":
    main(prog_name=PROGRAM)
