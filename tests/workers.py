"""The deployed worker as a child process of a test."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from monitor.history import read_verdicts
from monitor.verdicts import Verdict
from streams.redis_connection import RedisConnection
from streams.redis_keys import MonitorKeys

T = TypeVar("T")

READY_SECONDS = 60.0
"""TensorFlow takes seconds to load on a busy machine."""


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
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "monitor.yaml"
        self.config.write_text(yaml.safe_dump(config))
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

    def stop(self, timeout: float = 10.0) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def close(self) -> None:
        """End it, however it stands."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def wait_for(self, what: str, found: Callable[[], T | None], seconds: float = READY_SECONDS) -> T:
        """Await something that the worker is to bring about; fails with its log when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            result = found()
            if result is not None and result is not False:
                return result
            assert self.process.poll() is None, f"the worker ended:\n{self.log}"
            time.sleep(0.05)
        raise AssertionError(f"{what} did not happen within {seconds} s; the worker says:\n{self.log}")


def wait_for_verdicts(
    worker: WorkerUnderTest, redis_url: str, monitor: str, count: int, segment: str = "all"
) -> list[Verdict]:
    """Await the first ``count`` verdicts of a segment."""
    connection = RedisConnection(redis_url)

    def enough() -> list[Verdict] | None:
        verdicts = read_verdicts(connection, MonitorKeys("drift", monitor), segment)
        return verdicts if len(verdicts) >= count else None

    try:
        return worker.wait_for(f"verdict {count}", enough)
    finally:
        connection.close()


def monitor_config(
    bootstrap: str, redis_url: str, bundle: Path, topics: dict[str, str], **monitor: Any
) -> dict[str, Any]:
    """Config with one monitor; ``topics`` names ``events``, ``alerts`` and ``rejected``."""
    defaults: dict[str, Any] = {
        "name": "m",
        "input": {"topic": topics["events"], **monitor.pop("input", {})},
        "detector": str(bundle),
        "window": {"size": 100},
        "alerts": {"topic": topics["alerts"], **monitor.pop("alerts", {})},
        "dead_letters": {"topic": topics["rejected"]},
    }
    return {
        "kafka": {"bootstrap.servers": bootstrap, "group.id": topics["events"]},
        "redis": {"url": redis_url},
        "monitors": [{**defaults, **monitor}],
    }


def json_line(text: str) -> Any:
    """The last line of some output, as JSON."""
    return json.loads(text.strip().splitlines()[-1])
