"""A small HTTP server in a thread of the test."""

from __future__ import annotations

from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from typing_extensions import Self


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: that a handshake fails, or a client hangs up, is what some tests are about."""


class QuietHandler(BaseHTTPRequestHandler):
    """Answers requests and logs none."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class HttpServer(ABC):
    """A server on a free loopback port, while the context lasts."""

    scheme = "http"

    @property
    def url(self) -> str:
        """Address of the root."""
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def handler(self) -> type[QuietHandler]:
        """Return what answers the requests."""

    def __enter__(self) -> Self:
        self._server = _Quiet(("127.0.0.1", 0), self.handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
