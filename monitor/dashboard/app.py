"""The page and its data over HTTP."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from monitor.dashboard.access import SecurityHeaders, Token
from monitor.dashboard.views import Views
from streams.errors import StreamError
from streams.state.redis_connection import RedisUnavailableError

STATIC = Path(str(resources.files("monitor.dashboard") / "static"))
LARGEST_FORM_BYTES = 4096
COMPRESSION = 4
"""1,000 segments to a tenth in 4 ms; the highest level takes ten times as long for a sixth less."""
HERE = ["localhost", "127.0.0.1", "::1", "[::1]"]
"""Names under which a browser on this machine reaches the page."""


class Dashboard:
    """The endpoints.

    Parameters
    ----------
    views
        The data.
    token
        What opens the page; None when everyone who can reach it may look.
    """

    def __init__(self, views: Views, token: Token | None) -> None:
        self._views = views
        self._token = token

    def app(self, host: str) -> Starlette:
        """Return the application, to be served at an address."""
        middleware = [
            Middleware(SecurityHeaders),
            Middleware(GZipMiddleware, minimum_size=2000, compresslevel=COMPRESSION),
        ]
        if self._token is None:
            # Without it, any web page could have its own name resolve to this machine and read along.
            middleware.append(
                Middleware(TrustedHostMiddleware, allowed_hosts=[*HERE, host], www_redirect=False)
            )
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/sign-in", self.sign_in_page, methods=["GET"]),
                Route("/sign-in", self.sign_in, methods=["POST"]),
                Route("/api/overview", self.overview),
                Route("/api/segment", self.segment),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=middleware,
            exception_handlers={
                RedisUnavailableError: _explained(503),
                StreamError: _explained(500),
                HTTPException: _refused,
            },
        )

    async def page(self, request: Request) -> Response:
        """Serve the page, or send to where the token is asked for."""
        given = request.query_params.get("token")
        if self._token is not None and given is not None:
            return self._let_in(request, given)
        if not self._may_look(request):
            return RedirectResponse("sign-in", status_code=303)
        return FileResponse(STATIC / "index.html")

    async def sign_in_page(self, request: Request) -> Response:
        """Ask for the token."""
        return _sign_in_form("", 200)

    async def sign_in(self, request: Request) -> Response:
        """Take the token from the form."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_FORM_BYTES:
                raise HTTPException(413, "That is no token.")
        given = parse_qs(body.decode("latin-1")).get("token", [""])[0]
        return self._let_in(request, given)

    async def overview(self, request: Request) -> Response:
        """Serve where all segments stand."""
        self._require(request)
        return JSONResponse(await run_in_threadpool(self._views.overview))

    async def segment(self, request: Request) -> Response:
        """Serve one segment in full."""
        self._require(request)
        monitor, segment = (request.query_params.get(name, "") for name in ("monitor", "segment"))
        found = await run_in_threadpool(self._views.segment, monitor, segment)
        if found is None:
            raise HTTPException(404, f"The config has no monitor '{monitor}'.")
        return JSONResponse(found)

    def _may_look(self, request: Request) -> bool:
        return self._token is None or self._token.opens(request)

    def _require(self, request: Request) -> None:
        if not self._may_look(request):
            raise HTTPException(401, "This dashboard needs its token.")

    def _let_in(self, request: Request, given: str) -> Response:
        if self._token is None:
            return RedirectResponse("./", status_code=303)
        if not self._token.fits(given):
            return _sign_in_form("That is not the token.", 403)
        response = RedirectResponse("./", status_code=303)
        self._token.remember(response, request)
        return response


def _sign_in_form(problem: str, status: int) -> Response:
    form = Template((STATIC / "sign_in.html").read_text(encoding="utf-8"))
    return HTMLResponse(form.substitute(problem=problem), status_code=status)


def _explained(status: int) -> Any:
    async def respond(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=status)

    return respond


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these alone
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
