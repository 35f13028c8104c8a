"""The deployed worker as a child process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typing_extensions import Self

from monitor.errors import MonitorError

STOP_SECONDS = 10.0
LOG_TAIL_LINES = 5


class WorkerProcess:
    """``drift-monitor worker`` in a process of its own, ended by SIGTERM.

    Parameters
    ----------
    config
        Its config file.
    log
        File for what it logs.
    """

    def __init__(self, config: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "monitor.cli.main", "worker", "-c", str(config)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)  # noqa: S603
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """See that it runs.

        Raises
        ------
        MonitorError
            If it has ended; with the end of its log.
        """
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise MonitorError(f"The worker ended with exit code {code}: {self.log_tail()}")

    def log_tail(self) -> str:
        """Last lines of its log."""
        lines = self._log.read_text(errors="replace").splitlines()
        return " | ".join(lines[-LOG_TAIL_LINES:])
