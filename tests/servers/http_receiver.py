"""An HTTP server that takes what is posted, and first fails as often as it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from typing_extensions import Self

DROP = 0
"""In place of a status: hang up without an answer."""


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """A server on a free loopback port, while the context lasts.

    Attributes
    ----------
    failures
        Statuses with which the first requests are answered, or ``DROP``; 200 afterwards.
    taken, failed
        Requests that were answered with 200, and the others, in order.
    """

    failures: Sequence[int] = ()
    headers: dict[str, str] = field(default_factory=dict)
    taken: list[Posted] = field(default_factory=list)
    failed: list[Posted] = field(default_factory=list)

    def __enter__(self) -> Self:
        receiver = self
        statuses = iter(self.failures)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = next(statuses, 200)
                posted = Posted(self.path, dict(self.headers.items()), body)
                (receiver.taken if status == 200 else receiver.failed).append(posted)
                if status == DROP:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Address of the root."""
        return f"http://127.0.0.1:{self._server.server_port}"
