"""Who may look: everyone on this machine, or whoever has the token."""

from __future__ import annotations

import hmac
import ipaddress
from secrets import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitor.errors import SetupError

SHORTEST_TOKEN = 16
"""Characters; what is shorter can be guessed over a network."""

COOKIE_SECONDS = 30 * 24 * 3600

_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_access(host: str, token: str | None) -> None:
    """See that a page which others can reach asks for a token.

    Raises
    ------
    SetupError
        If it would be open to everyone, or the token can be guessed.
    """
    if token is None and not is_loopback(host):
        raise SetupError(
            f"--host: {host} can be reached from other machines, so the dashboard needs a token there; give"
            f" --token, at least {SHORTEST_TOKEN} characters."
        )
    if token is not None and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable()):
        raise SetupError(f"--token: must be at least {SHORTEST_TOKEN} characters, printable ASCII.")


class Token:
    """The secret that opens the page.

    Parameters
    ----------
    token
        The secret itself, ASCII.

    Notes
    -----
    Browsers keep a cookie that is derived from the token and does not disclose it. Its name is derived as
    well, since cookies of one host are shared between ports and two dashboards would overwrite each other's.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        digest = hmac.new(self._token, b"drift-monitor dashboard", "sha256").hexdigest()
        self._cookie, self._session = f"drift-monitor-{digest[:8]}", digest[8:]

    def fits(self, given: str) -> bool:
        """Compare without telling by the time it takes how much of it was right."""
        return compare_digest(given.encode(), self._token)

    def opens(self, request: Request) -> bool:
        """Tell whether a request carries the cookie, or the token as ``Authorization: Bearer``."""
        session = request.cookies.get(self._cookie, "")
        if compare_digest(session.encode(), self._session.encode()):
            return True
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.fits(given.strip())

    def remember(self, response: Response, request: Request) -> None:
        """Let the browser keep the cookie."""
        response.set_cookie(
            self._cookie,
            self._session,
            max_age=COOKIE_SECONDS,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )


class SecurityHeaders:
    """Adds to every response what keeps other sites and other scripts out.

    Parameters
    ----------
    app
        The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = _CONTENT_POLICY
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "no-referrer"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["cross-origin-resource-policy"] = "same-origin"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
