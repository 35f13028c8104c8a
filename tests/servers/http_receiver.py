"""An HTTP server that takes what is posted, and first fails as often as it is told to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.servers.http_server import HttpServer, QuietHandler

DROP = 0
"""In place of a status: hang up without an answer."""


@dataclass(frozen=True)
class Posted:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver(HttpServer):
    """A server that takes posts.

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

    def handler(self) -> type[QuietHandler]:
        """Return what takes the posts."""
        receiver = self
        statuses = iter(self.failures)

        class Handler(QuietHandler):
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

        return Handler
