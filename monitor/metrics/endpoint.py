"""The worker's HTTP endpoint: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for an orchestrator.

It is served from a thread of its own with clients of its own, so that it answers while the loop is held up.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any

from prometheus_client import disable_created_metrics
from prometheus_client.exposition import choose_encoder
from typing_extensions import Self

from monitor.config import Config
from monitor.config.http import HttpConfig
from monitor.listening import address_of, listen
from monitor.metrics.instruments import Instruments
from monitor.metrics.lag import Lag
from monitor.metrics.segments import SegmentStates
from streams.errors import KafkaUnavailableError, RedisError
from streams.state.redis_connection import RedisConnection

log = logging.getLogger(__name__)

ANSWER_SECONDS = 2.0
"""How long Redis has to answer; Kubernetes' probes are told to wait longer."""
_IDLE_SECONDS = 15.0
"""How long a client may take over its request."""


class Endpoint:
    """Serves what a worker tells of itself while the context lasts.

    Parameters
    ----------
    settings
        Where to listen.
    config
        Where Kafka and Redis are.
    instruments
        Metrics of the worker.
    monitors
        Returns the names of the worker's monitors.

    Raises
    ------
    SetupError
        On entering, if the port cannot be had.
    """

    def __init__(
        self,
        settings: HttpConfig,
        config: Config,
        instruments: Instruments,
        monitors: Callable[[], Sequence[str]],
    ) -> None:
        self._settings = settings
        self._instruments = instruments
        options = config.redis.connection_options()
        options["timeout_seconds"] = min(options["timeout_seconds"], ANSWER_SECONDS)
        self._redis = RedisConnection(**options)
        self._lag = Lag(config.kafka.properties, instruments)
        instruments.registry.register(self._lag)
        instruments.registry.register(
            SegmentStates(self._redis, config.redis.prefix, monitors, settings.max_segments)
        )
        self._server: _Server
        self._thread: Thread

    def __enter__(self) -> Self:
        # The client would give every counter a second series, with the time of its first event.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        listener = listen(
            self._settings.host,
            self._settings.port,
            "The worker's endpoint",
            "worker.http.host",
            "worker.http.port",
        )
        self._server = _Server(listener.getsockname(), self)
        self._server.socket.close()
        self._server.socket = listener
        self._thread = Thread(target=self._server.serve_forever, name="endpoint", daemon=True)
        self._thread.start()
        url = address_of(self._settings.host, listener.getsockname()[1])
        log.info("Serving %smetrics, healthz and readyz.", url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._redis.close()

    def metrics(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and the metrics in the format that a client accepts."""
        encode, content_type = choose_encoder(accept)
        return content_type, encode(self._instruments.registry)

    def health(self) -> list[str]:
        """Say what only a restart of the worker can mend; nothing when it is well."""
        stuck = self._instruments.pulse.stuck(time.monotonic())
        return [] if stuck is None else [stuck]

    def hindrances(self) -> list[str]:
        """Say what keeps the worker from its work; nothing when it is ready."""
        found = self._instruments.pulse.hindrances(time.monotonic())
        for ask in (self._redis.ping, self._lag.measure):
            try:
                ask()
            except (RedisError, KafkaUnavailableError) as error:
                found.append(str(error))
        return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Any, endpoint: Endpoint) -> None:
        super().__init__(address, _Handler, bind_and_activate=False)
        self.endpoint = endpoint


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "drift-monitor"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        endpoint = self.server.endpoint
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._reply(200, *endpoint.metrics(self.headers.get("Accept", "")))
        elif path == "/healthz":
            self._reply_whether("healthy", endpoint.health())
        elif path == "/readyz":
            self._reply_whether("ready", endpoint.hindrances())
        else:
            self._reply(404, "text/plain; charset=utf-8", b"There are /metrics, /healthz and /readyz.\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named so by its base class
        log.debug(format, *args)

    def _reply_whether(self, well: str, reasons: Sequence[str]) -> None:
        body = json.dumps({well: not reasons, "reasons": list(dict.fromkeys(reasons))}) + "\n"
        self._reply(503 if reasons else 200, "application/json", body.encode())

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
