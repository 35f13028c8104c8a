"""Worker processes that begin within a second: forked from one that has loaded TensorFlow, and not run it."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.points import Ending, Passages, lay_points

if TYPE_CHECKING:
    from streams.state.redis_connection import RedisConnection, ScriptCall

END_SECONDS = 30.0


@dataclass(frozen=True)
class Treatment:
    """What is done to a worker process before it runs.

    Attributes
    ----------
    ending
        Where it ends or freezes by itself.
    without_fence
        Whether Redis is to believe whatever it claims, as it would without the comparison in ``append.lua``.
    clock_jumps_seconds
        Offsets of the wall clock, each in force for ``CLOCK_SECONDS`` by turns.
    """

    ending: Ending | None = None
    without_fence: bool = False
    clock_jumps_seconds: Sequence[float] = ()


class WorkerProcess:
    """A worker as ``drift-monitor worker`` makes it, in a process of its own.

    Parameters
    ----------
    config
        Its config file.
    log
        Where its log goes; appended to.
    treatment
        What is done to it.
    """

    def __init__(self, config: Path, log: Path, treatment: Treatment | None = None) -> None:
        self._log = log
        self._passages = log.with_suffix(".passages")
        target = (config, log, self._passages, treatment or Treatment())
        self._process: BaseProcess = _context().Process(target=_run, args=target, daemon=True)
        self._process.start()

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def running(self) -> bool:
        """Whether it is there (a frozen one is)."""
        return self._process.is_alive()

    @property
    def killed(self) -> bool:
        """Whether it has ended by SIGKILL."""
        return self._process.exitcode == -signal.SIGKILL

    @property
    def frozen(self) -> bool:
        """Whether it has been halted by SIGSTOP."""
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def passages(self) -> dict[str, int]:
        """How often it passed each point; known once it has ended in order."""
        found: dict[str, int] = json.loads(self._passages.read_text())
        return found

    def freeze(self) -> None:
        """Halt it while its connections stay open, as a hung machine would."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after it was frozen."""
        self._send(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to stop, and do not wait for it."""
        self._send(signal.SIGTERM)

    def stop(self) -> None:
        """Ask it to stop and fail unless it ends in order."""
        self.terminate()
        # Before it opens its log, it has not told yet what is to become of signals.
        in_order = {0} if self._log.exists() else {0, -signal.SIGTERM}
        assert self.join() in in_order, self.log

    def join(self) -> int | None:
        """Await its end and return the exit code."""
        self._process.join(END_SECONDS)
        return self._process.exitcode

    def kill(self) -> None:
        """End it at once; no harm if it has ended."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join(END_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)


CLOCK_SECONDS = 0.1
FREEZE = signal.SIGSTOP


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    # A fork of a process that has already run TensorFlow would hang; importing it is harmless.
    context.set_forkserver_preload(["tensorflow", "monitor.assembly", "monitor.config.file", "monitor.logs"])
    return context


def _run(config_path: Path, log: Path, passages_path: Path, treatment: Treatment) -> None:
    from monitor.cli.worker import StopSignals

    stop = StopSignals()
    with log.open("ab", buffering=0) as output:
        os.dup2(output.fileno(), sys.stdout.fileno())
        os.dup2(output.fileno(), sys.stderr.fileno())
    from monitor.assembly import open_worker
    from monitor.config.file import load_config
    from monitor.logs import configure_logging

    configure_logging("text", "info")
    config = load_config(config_path)
    passages = Passages(treatment.ending)
    if treatment.without_fence:
        _remove_fence()
    if treatment.clock_jumps_seconds:
        _let_clock_jump(treatment.clock_jumps_seconds)
    alert_topics = {monitor.alerts.topic for monitor in config.monitors}
    lay_points(passages, alert_topics, None if config.state is None else config.state.topic)
    worker = open_worker(config)
    stop.attach(worker)
    worker.run()
    passages_path.write_text(json.dumps(passages.counts))


def _remove_fence() -> None:
    from streams.state.redis_connection import RedisConnection, Script, load_script

    fenced = load_script("append")
    text = fenced.text.replace("if moved then", "if false then")
    assert text != fenced.text, "the comparison in append.lua is no longer where this test removes it"
    unfenced = Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    run = RedisConnection.run

    def run_unfenced(self: RedisConnection, calls: Iterable[ScriptCall]) -> list[Any]:
        swapped = [replace(call, script=unfenced) if call.script == fenced else call for call in calls]
        return run(self, swapped)

    RedisConnection.run = run_unfenced  # type: ignore[method-assign]


def _let_clock_jump(offsets_seconds: Sequence[float]) -> None:
    true_time_ns = time.time_ns

    def jumping_time_ns() -> int:
        turn = int(time.monotonic() / CLOCK_SECONDS) % len(offsets_seconds)
        return true_time_ns() + int(offsets_seconds[turn] * 1e9)

    time.time_ns = jumping_time_ns
    time.time = lambda: jumping_time_ns() / 1e9
