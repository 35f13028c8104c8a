"""The deployed worker under test: as a child process, or in a thread where a process is not the point."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from typing_extensions import Self

from monitor.verdicts.verdict import Verdict
from tests.traffic import MonitorState

T = TypeVar("T")

READY_SECONDS = 180.0
"""TensorFlow takes a minute to load on a very busy machine."""
STOP_SECONDS = 60.0
"""A worker ends within ten seconds, which is for those tests to say that do nothing else meanwhile."""


def write_config(directory: Path, config: dict[str, Any]) -> Path:
    """Write a config and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "monitor.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


class WorkerUnderTest:
    """``drift-monitor worker`` with a config given as data.

    Parameters
    ----------
    directory
        Where its config and log go.
    config
        Content of its config file.
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self.config = write_config(directory, config)
        self._log = directory / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> WorkerUnderTest:
        """Start it, or start it again; returns itself."""
        command = [sys.executable, "-m", "monitor.cli.main", "worker", "-c", str(self.config)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process."""
        assert self._process is not None, "the worker was not started"
        return self._process

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text()

    def stop(self, timeout: float = STOP_SECONDS) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, however it stands."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_for(self, what: str, found: Callable[[], T | None], seconds: float = READY_SECONDS) -> T:
        """Await something that the worker brings about; fails with its log when it ends or takes too long."""

        def check() -> None:
            assert self.process.poll() is None, f"the worker ended:\n{self.log}"

        try:
            return wait_until(what, found, seconds, check, poll_seconds=0.005)
        except TimeoutError as error:
            raise AssertionError(f"{error}; the worker says:\n{self.log}") from error


class WorkerThread:
    """A worker in a thread of the test, made as the command makes it; several may run.

    Parameters
    ----------
    directory
        Where its config goes.
    config
        Content of its config file.
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        from monitor.assembly import open_worker
        from monitor.config.file import load_config

        self.config = write_config(directory, config)
        self.worker = open_worker(load_config(self.config), self.config)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> WorkerThread:
        """Start it; returns itself."""
        self._thread.start()
        return self

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Ask it to stop, as SIGTERM does, and fail if it takes too long or has failed."""
        self.worker.stop()
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the worker did not stop within {timeout:g} s"
        assert self.error is None, f"the worker failed: {self.error!r}"

    def join(self, timeout: float) -> None:
        """Await its end, and raise what it failed of."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the worker did not end within {timeout:g} s"
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.stop()
        else:
            self.worker.stop()
            self._thread.join(STOP_SECONDS)

    def wait_for(self, what: str, found: Callable[[], T | None], seconds: float = READY_SECONDS) -> T:
        """Await something that the worker brings about; fails when it ends or takes too long."""

        def check() -> None:
            assert self._thread.is_alive(), f"the worker ended: {self.error!r}"

        return wait_until(what, found, seconds, check)

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:
            self.error = error


def wait_until(
    what: str,
    found: Callable[[], T | None],
    seconds: float = 30.0,
    check: Callable[[], None] = lambda: None,
    *,
    poll_seconds: float = 0.02,
) -> T:
    """Await a result that is true; ``check`` may fail meanwhile.

    Raises
    ------
    TimeoutError
        If it takes too long.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = found()
        if result:
            return result
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(poll_seconds)


def wait_for_verdicts(
    worker: WorkerUnderTest | WorkerThread,
    redis_url: str,
    monitor: str,
    count: int,
    segment: str = "all",
    seconds: float = READY_SECONDS,
) -> list[Verdict]:
    """Await the first ``count`` verdicts of a segment; returns all that there are then."""
    with MonitorState(redis_url, monitor) as state:

        def enough() -> list[Verdict] | None:
            verdicts = state.verdicts(segment)
            return verdicts if len(verdicts) >= count else None

        return worker.wait_for(f"verdict {count}", enough, seconds)


def monitor_config(
    bootstrap: str, redis_url: str, bundle: Path, topics: dict[str, str], **monitor: Any
) -> dict[str, Any]:
    """Config with one monitor; ``topics`` names ``events``, ``alerts`` and ``rejected``.

    ``kafka``, ``redis`` and ``worker`` among the further arguments go to those sections, all others to the
    monitor. There is a state topic when ``topics`` names one as ``state``.
    """
    sections = {name: monitor.pop(name, {}) for name in ("kafka", "redis", "worker")}
    defaults: dict[str, Any] = {
        "name": "m",
        "input": {"topic": topics["events"], **monitor.pop("input", {})},
        "detector": str(bundle),
        "window": {"size": 100},
        "alerts": {"topic": topics["alerts"], **monitor.pop("alerts", {})},
        "dead_letters": {"topic": topics["rejected"]},
    }
    config = {
        "kafka": {"bootstrap.servers": bootstrap, "group.id": topics["events"], **sections["kafka"]},
        "redis": {"url": redis_url, **sections["redis"]},
        "worker": sections["worker"],
        "monitors": [{**defaults, **monitor}],
    }
    if "state" in topics:
        config["state"] = {"topic": topics["state"]}
    return config
