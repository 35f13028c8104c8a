"""A server process: started, watched, frozen, and always ended by whoever started it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

STOP_SECONDS = 20.0
"""How long a server may take to end on SIGTERM before it is killed."""


class ServerError(RuntimeError):
    """A test server could not be started; the message carries the tail of its log."""


class ServerProcess:
    """One server process whose output goes to a log file.

    Parameters
    ----------
    name
        What messages call it.
    command
        Program and arguments.
    log
        File that the output is appended to; kept over restarts.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen = False

    @property
    def running(self) -> bool:
        """Whether the process is there (a frozen one is)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id.

        Raises
        ------
        ServerError
            If it does not run.
        """
        if self._process is None:
            raise ServerError(f"{self.name} does not run, so it has no process id.")
        return self._process.pid

    def start(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Start and wait until ``ready`` says so.

        Raises
        ------
        ServerError
            If the process ends, or is not ready within the timeout; it is gone then.
        """
        if self.running:
            raise ServerError(f"{self.name} runs already as process {self.pid}.")
        atexit.register(self.kill)
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C reaches the tests alone, and they end their servers in order.
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_seconds
        try:
            while not ready():
                if (code := self._process.poll()) is not None:
                    raise ServerError(f"{self.name} ended with exit code {code}. {self.log_tail()}")
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"{self.name} was not ready within {timeout_seconds:g} s. {self.log_tail()}"
                    )
                time.sleep(0.02)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an operator would (SIGTERM), and by SIGKILL if that takes too long."""
        if self.running:
            self.thaw()
            self._send(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; no harm if it has ended."""
        if self.running:
            self._send(signal.SIGKILL)
            self._wait(STOP_SECONDS)
        self._process = None
        self._frozen = False
        atexit.unregister(self.kill)

    def freeze(self) -> None:
        """Stop it from running while its connections stay open (SIGSTOP), as a hung machine would."""
        self._send(signal.SIGSTOP)
        self._frozen = True

    def thaw(self) -> None:
        """Let a frozen process go on; no harm if it is not frozen."""
        if self._frozen:
            self._send(signal.SIGCONT)
            self._frozen = False

    def log_tail(self, lines: int = 25) -> str:
        """Return the last lines of the log as a paragraph for an error message."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"The end of {self.log}:\n" + "\n".join(text.splitlines()[-lines:])

    def _send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def _wait(self, timeout_seconds: float) -> None:
        assert self._process is not None
        self._process.wait(timeout_seconds)
