"""An HTTPS server that asks for a login and has one schema, as a schema registry behind its locks does."""

from __future__ import annotations

import base64
import json
import socket
import ssl

from tests.servers.certificates import CertificateFiles
from tests.servers.http_server import HttpServer, QuietHandler

ANSWERS = {
    "/subjects": ["events-value"],
    "/schemas/ids/7": {"schema": "{}", "schemaType": "JSON"},
}


class LockedRegistry(HttpServer):
    """A registry that asks for a login, and for TLS if it has a certificate.

    Parameters
    ----------
    certificate
        What it shows; None for plain HTTP.
    user, password
        The only login that it takes.
    wants_client_certificate
        Whether clients have to show one of the same authority.

    Attributes
    ----------
    readable
        Whether the user may read anything; otherwise every answer is 403.
    """

    def __init__(
        self,
        certificate: CertificateFiles | None,
        user: str,
        password: str,
        *,
        wants_client_certificate: bool = False,
    ) -> None:
        self.readable = True
        self._login = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.scheme = "https"
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate.certificate, certificate.key)
            if wants_client_certificate:
                self._tls.verify_mode = ssl.CERT_REQUIRED
                self._tls.load_verify_locations(certificate.authority)

    def handler(self) -> type[QuietHandler]:
        """Return what answers as a registry does."""
        registry = self

        class Handler(QuietHandler):
            timeout = 30

            def setup(self) -> None:
                # In the thread of the connection, so that a bad handshake holds up nobody else.
                connection: socket.socket = self.request
                if registry._tls is not None:
                    connection.settimeout(self.timeout)
                    self.request = registry._tls.wrap_socket(connection, server_side=True)
                super().setup()

            def do_GET(self) -> None:
                if self.headers["Authorization"] != registry._login:
                    self._answer(401, {"error_code": 401, "message": "Unauthorized"})
                elif not registry.readable:
                    self._answer(403, {"error_code": 403, "message": "Forbidden"})
                elif self.path in ANSWERS:
                    self._answer(200, ANSWERS[self.path])
                else:
                    self._answer(404, {"error_code": 40403, "message": "Schema not found"})

            def _answer(self, status: int, content: object) -> None:
                body = json.dumps(content).encode()
                self.send_response(status)
                if status == 401:
                    self.send_header("WWW-Authenticate", 'Basic realm="registry"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler
