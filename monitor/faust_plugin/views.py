"""Web views of a Faust app: where the monitors stand, as JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
from faust.web import Request, Response, View

from monitor.config import Config
from monitor.dashboard.views import Views
from streams.errors import RedisError
from streams.state.redis_connection import RedisConnection

PATH = "/drift-monitor/"
UNAVAILABLE = 503


def add_views(app: faust.App, config: Config) -> None:
    """Add ``/drift-monitor/`` and ``/drift-monitor/<monitor>/<segment>/`` to an app's web pages.

    Parameters
    ----------
    app
        The app.
    config
        Which monitors there are, and where their state is; it is only read.
    """
    # Connections of its own, since the monitor's may be waiting for Redis.
    views = Views(config, RedisConnection(**config.redis.connection_options()))

    @app.page(PATH, name="drift-monitor")  # type: ignore[untyped-decorator]
    async def overview(view: View, request: Request) -> Response:
        return await _answer(view, views.overview)

    @app.page(PATH + "{monitor}/{segment}/", name="drift-monitor-segment")  # type: ignore[untyped-decorator]
    async def segment(view: View, request: Request, monitor: str, segment: str) -> Response:
        return await _answer(view, views.segment, monitor, segment)


async def _answer(view: View, ask: Any, *arguments: str) -> Response:
    try:
        found = await asyncio.to_thread(ask, *arguments)
    except RedisError as error:
        return view.json({"error": str(error)}, status=UNAVAILABLE)
    if found is None:
        raise view.NotFound(f"There is no monitor {arguments[0]!r}.")
    return view.json(found)
