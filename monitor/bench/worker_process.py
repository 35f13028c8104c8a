"""The deployed worker in a process of its own, which tells what it has used."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from typing_extensions import Self

from monitor.config import Config
from monitor.errors import MonitorError
from streams.errors import StreamError

START_SECONDS = 120.0
STOP_SECONDS = 15.0
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Usage:
    """What a worker's process has used since it began.

    Attributes
    ----------
    at
        When this was told, in seconds of a clock that the machine's processes share.
    cpu_seconds
        Processor time, user's and system's.
    resident_mb
        Resident memory now, in MiB.
    stages
        Seconds spent in each stage of the loop.
    """

    at: float
    cpu_seconds: float
    resident_mb: float
    stages: Mapping[str, float]


class MeasuredWorker:
    """Runs a worker in a process of its own; a context manager that ends it.

    Parameters
    ----------
    config
        What it watches.

    Attributes
    ----------
    at_start
        What it had used when it was about to consume, models and all libraries loaded.
    """

    at_start: Usage

    def __init__(self, config: Config) -> None:
        self._config = config

    def __enter__(self) -> Self:
        # A fork of this process would share its threads' locks, those of TensorFlow among them.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(self._config, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.at_start = self._answer(START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def usage(self) -> Usage:
        """Ask what it has used.

        Raises
        ------
        MonitorError
            If it has ended.
        """
        self.check()
        self._pipe.send(None)
        return self._answer(STOP_SECONDS)

    def wait_until(self, found: Callable[[], bool], poll_seconds: float = 0.005) -> None:
        """Wait for something that the worker brings about.

        Raises
        ------
        MonitorError
            If it ends before.
        """
        while not found():
            self.check()
            time.sleep(poll_seconds)

    def check(self) -> None:
        """See that it runs.

        Raises
        ------
        MonitorError
            If it has ended; with what it said last.
        """
        if not self._process.is_alive():
            self._answer(0.0)

    def _answer(self, seconds: float) -> Usage:
        if not self._pipe.poll(seconds) and self._process.is_alive():
            raise MonitorError(f"The worker did not answer within {seconds:g} s.")
        try:
            answer: Usage | str = self._pipe.recv()
        except EOFError:
            raise MonitorError("The worker's process ended without saying why.") from None
        if isinstance(answer, str):
            raise MonitorError(f"The worker ended: {answer}")
        return answer

    def _end(self) -> None:
        # The worker stops when the other end of its pipe is gone, for whatever reason.
        self._pipe.close()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _work(config: Config, pipe: Connection) -> None:
    # Ctrl-C reaches every process of the terminal; this one is ended by the one that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from monitor.allocation import keep_freed_memory
    from monitor.cli.tensorflow_loading import load_tensorflow_for_scoring
    from monitor.garbage import spare_what_is_loaded
    from monitor.logs import configure_logging

    keep_freed_memory()
    configure_logging(config.worker.log_format, "error")
    load_tensorflow_for_scoring()
    from detectors.errors import DetectorError
    from monitor.assembly import open_worker
    from monitor.worker import Worker

    def answer(worker: Worker) -> None:
        try:
            while True:
                pipe.recv()
                pipe.send(_usage(worker.stages))
        except EOFError:
            worker.stop()

    # Nobody listens to a pipe that is broken.
    with suppress(BrokenPipeError):
        try:
            worker = open_worker(config)
            spare_what_is_loaded()
            pipe.send(_usage(worker.stages))
            threading.Thread(target=answer, args=(worker,), daemon=True).start()
            worker.run()
        except (DetectorError, StreamError, MonitorError) as error:
            pipe.send(str(error))


def _usage(stages: Mapping[str, float]) -> Usage:
    return Usage(time.monotonic(), time.process_time(), resident_mb(), dict(stages))


def resident_mb() -> float:
    """Resident memory of this process, in MiB; the most that it ever had where the system tells no more."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (MEBIBYTE if sys.platform == "darwin" else 1024)
