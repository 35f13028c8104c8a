"""The worker's side of the decoding process."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NamedTuple

from streams.codecs.ahead.messages import Request
from streams.events import EventBatch

log = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0
"""How long a batch may take; the largest take less than one."""
END_SECONDS = 5.0


class _Begun(NamedTuple):
    """What was sent, and the answer once it was taken off the connection."""

    purpose: tuple[object, ...]
    answer: EventBatch | None = None

    def is_for(self, purpose: tuple[object, ...]) -> bool:
        return all(mine is theirs for mine, theirs in zip(self.purpose, purpose, strict=True))


class DecodingProcess:
    """A process that decodes one batch at a time, for one thread; started when it is first asked for.

    It ends with this object or with the worker, however that ends: it waits at a connection that the system
    closes then. Without it, whether it is not ready yet or has died, there is no answer to anything.
    """

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._end: Callable[[], object] = lambda: None
        self._ready = self._failed = False
        self._asked: _Begun | None = None
        self._answered: _Begun | None = None
        self.pid: int | None = None
        """Its process id; None while there is none."""

    def begin(self, purpose: tuple[object, ...], request: Request) -> bool:
        """Send a request; tell whether that was possible.

        Parameters
        ----------
        purpose
            The objects by whose identity ``answer`` knows it again.
        request
            What to decode.
        """
        if not self._is_ready():
            return False
        # The answer must be off the connection, or each side would wait for the other to read.
        self._take_answer()
        try:
            if self._connection is not None:
                request.send(self._connection)
                self._asked = _Begun(purpose)
        except OSError as error:
            self._give_up(error)
        return self._asked is not None

    def answer(self, purpose: tuple[object, ...]) -> EventBatch | None:
        """Wait for the answer to what was begun; None if there is none, and the worker has to decode."""
        if self._asked is not None and self._asked.is_for(purpose):
            self._take_answer()
        found, answered = None, self._answered
        if answered is not None and answered.is_for(purpose):
            found, self._answered = answered.answer, None
        return found

    def close(self) -> None:
        """End the process."""
        self._end()
        self._connection = self.pid = self._asked = self._answered = None
        self._ready = False

    def _is_ready(self) -> bool:
        """Tell whether it can be asked; starts it if that was not done yet, without waiting."""
        try:
            if self._connection is None and not self._failed:
                self._start()
            elif self._connection is not None and not self._ready and self._connection.poll():
                self._connection.recv()
                self._ready = True
        except (EOFError, OSError) as error:
            self._give_up(error)
        return self._ready

    def _take_answer(self) -> None:
        """Wait for the answer to what was asked for last, if it has not come yet."""
        if self._asked is None or self._connection is None:
            return
        asked, self._asked = self._asked, None
        try:
            if not self._connection.poll(ANSWER_SECONDS):
                raise TimeoutError(f"it did not answer within {ANSWER_SECONDS:g} s")
            self._answered = asked._replace(answer=self._connection.recv())
        except (EOFError, OSError) as error:
            self._give_up(error)

    def _start(self) -> None:
        # Isolated, so that nothing in the working directory is taken for a module.
        ours, theirs = socket.socketpair()
        with theirs:
            program = (
                f"import sys; sys.path[:] = {[path for path in sys.path if path]!r};"
                f" from streams.codecs.ahead.child import serve; serve({theirs.fileno()})"
            )
            process = subprocess.Popen(  # noqa: S603 # the interpreter that runs already
                [sys.executable, "-I", "-c", program],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._connection = Connection(ours.detach())
        self._end = weakref.finalize(self, _end, self._connection, process)
        self.pid = process.pid

    def _give_up(self, error: Exception) -> None:
        why = str(error) or "it has ended"
        log.warning("The process that decodes ahead is given up: %s. The worker decodes all itself.", why)
        self._failed = True
        self.close()


def usable_cores() -> float:
    """Count the cores that this process may use, as far as the system tells."""
    cores: float = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else min(cores, int(quota) / int(period))


def _end(connection: Connection, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
