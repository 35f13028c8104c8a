"""Serving the dashboard from a thread of its own, on an address that is known to be free."""

from __future__ import annotations

from threading import Thread
from types import TracebackType

import uvicorn
from typing_extensions import Self

from monitor.config import Config
from monitor.dashboard.access import Token, check_access
from monitor.dashboard.app import Dashboard
from monitor.dashboard.views import Views
from monitor.errors import SetupError
from monitor.listening import address_of, listen
from streams.errors import RedisError
from streams.state.redis_connection import RedisConnection

STOP_SECONDS = 3
"""How long a request may go on after the end was asked for."""


class DashboardServer:
    """The dashboard of a config, served while the context lasts.

    Parameters
    ----------
    config
        Which monitors there are, and where Redis is.
    host
        Address to listen on.
    port
        Port to listen on; 0 for any that is free.
    token
        What opens the page; needed unless the address is a loopback address.

    Raises
    ------
    SetupError
        If the token is missing or too short; on entering if Redis cannot be read or the address not be
        listened on.
    """

    def __init__(self, config: Config, host: str, port: int, token: str | None = None) -> None:
        check_access(host, token)
        self._host, self._port = host, port
        self._redis = RedisConnection(**config.redis.connection_options())
        self._views = Views(config, self._redis)
        app = Dashboard(self._views, None if token is None else Token(token)).app(host)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                access_log=False,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=STOP_SECONDS,
            )
        )
        self._thread: Thread | None = None
        self.url = ""
        """Where the page is."""

    def __enter__(self) -> Self:
        try:
            # Tells at once what is wrong with Redis, and what is read now makes the first page quick.
            self._views.overview()
        except RedisError as error:
            raise SetupError(f"Redis: {error}") from error
        listener = listen(self._host, self._port, "The dashboard", "--host", "--port")
        self.url = address_of(self._host, listener.getsockname()[1])
        self._thread = Thread(target=self._server.run, args=([listener],), name="dashboard", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._redis.close()
