"""Faust apps under test, each in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import faust

from monitor.faust_plugin.app import open_app
from tests.servers.ports import free_ports
from tests.workers import wait_until, write_config

T = TypeVar("T")

SOON = {"broker_session_timeout": 20.0, "broker_heartbeat_interval": 0.5, "broker_request_timeout": 40.0}
"""So that a group takes note of who comes and goes, but not of a machine that is busy."""
LONG_SECONDS = 180.0
"""An app, its broker and other tests may have to share a processor."""


class FaustThread:
    """An app in a thread of the test.

    Parameters
    ----------
    open_it
        Makes the app.
    """

    def __init__(self, open_it: Callable[[], faust.App]) -> None:
        self._open = open_it
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._stopping: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self.app: faust.App
        self.error: BaseException | None = None
        self.assigned: Collection[object] = ()

    def __enter__(self) -> FaustThread:
        self._thread.start()
        assert self._ready.wait(LONG_SECONDS), "the app was not made"
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, timeout: float = LONG_SECONDS) -> None:
        """Stop it, as SIGTERM does, and fail if that takes too long."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout)
            assert not self._thread.is_alive(), f"the app did not stop within {timeout:g} s"

    def wait_for(self, what: str, found: Callable[[], T | None], seconds: float = LONG_SECONDS) -> T:
        """Await something that the app brings about; fails when it ends or takes too long."""

        def check() -> None:
            assert self._thread.is_alive(), f"the app ended: {self.error!r}"

        return wait_until(what, found, seconds, check)

    async def _note_assigned(self, _: faust.App, assigned: Collection[object], **__: object) -> None:
        self.assigned = assigned

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            self.app = self._open()
            self.app.on_partitions_assigned.connect(self._note_assigned)
            self._ready.set()
            await self.app.start()
            stopped = asyncio.ensure_future(self._stopping.wait())
            crashed = asyncio.ensure_future(self.app._crashed.wait())
            await asyncio.wait([stopped, crashed], return_when=asyncio.FIRST_COMPLETED)
            self.error = self.app.crash_reason
            await self.app.stop()
        except BaseException as error:
            self.error = error
            self._ready.set()


def ready_made(directory: Path, config: dict[str, Any], **settings: Any) -> FaustThread:
    """Return the app that does nothing but monitor, as ``faust -A monitor.faust_app worker`` makes it."""
    path = write_config(directory, config)
    return FaustThread(lambda: open_app(path, **{"web_port": free_ports(1)[0], **SOON, **settings}))
