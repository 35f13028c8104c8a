"""``drift-monitor worker``: the deployed stream worker."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from monitor.cli.options import ExampleCommand, config_option, read_config
from monitor.cli.tensorflow_loading import load_tensorflow_for_scoring

if TYPE_CHECKING:
    from monitor.worker import Worker

log = logging.getLogger(__name__)


@click.command("worker", cls=ExampleCommand, examples=["drift-monitor worker -c monitor.yaml"])
@config_option
def worker(config_path: Path) -> None:
    """Read the input topics, score, test windows, and publish alerts until stopped.

    Config, bundles, Kafka, topics, Redis and references are checked first; with anything wrong the worker
    says so and exits with 2 before it consumes a single event. Kafka or Redis going away later is waited out,
    and nothing is lost.

    Several workers may run with the same config; they share the partitions. SIGTERM or Ctrl-C end a worker
    within seconds, with exit code 0; what it had in hand is committed or found by the next one. SIGHUP has it
    read the config again and take up what has changed of the monitors, while the others go on.
    """
    from monitor.allocation import keep_freed_memory

    stop = StopSignals()
    keep_freed_memory()
    config = read_config(config_path)

    from monitor.logs import configure_logging

    configure_logging(config.worker.log_format, config.worker.log_level)

    # This takes seconds; a wrong config is told at once.
    load_tensorflow_for_scoring()
    from monitor.assembly import open_worker
    from monitor.checks.findings import Severity, require
    from monitor.checks.setup import check_all
    from monitor.garbage import spare_what_is_loaded

    for finding in require(check_all(config)):
        level = logging.WARNING if finding.severity is Severity.WARNING else logging.INFO
        log.log(level, "%s: %s", finding.subject, finding.sentence)
    worker = open_worker(config, config_path)
    stop.attach(worker)
    spare_what_is_loaded()
    worker.run()
    log.info("Stopped.")


class StopSignals:
    """SIGTERM and SIGINT ask the worker to stop; before there is one, they end the process. SIGHUP reloads.

    The handlers are set before anything else happens, since process 1 of a container ignores these signals
    otherwise. A second signal ends the process at once.
    """

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._asked_to_stop = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

    def attach(self, worker: Worker) -> None:
        """Pass signals on to a worker from now on, and the wish to stop that came before it."""
        self._worker = worker
        if self._asked_to_stop:
            worker.stop()

    def _reload(self, number: int, frame: FrameType | None) -> None:
        # Before there is a worker, the config in force has only just been read.
        if self._worker is not None:
            self._worker.reload()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # The libraries that are being loaded may swallow the exit.
        self._asked_to_stop = True
        if self._worker is None:
            sys.exit(0)
        self._worker.stop()
        signal.signal(number, signal.SIG_DFL)
