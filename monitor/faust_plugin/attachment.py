"""Attaching the monitor to a Faust app."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import faust
from faust.types import TP, EventT

from detectors.errors import DetectorError
from monitor.assembly import open_endpoint, open_pipeline, open_reloader
from monitor.config import Config
from monitor.config.file import load_config
from monitor.errors import ConfigError, MonitorError
from monitor.faust_plugin.intake import Intake
from monitor.faust_plugin.one_thread import OneThread
from monitor.faust_plugin.records import RawTopic, record_batches
from monitor.faust_plugin.sender import AppSender
from monitor.faust_plugin.views import add_views
from monitor.garbage import spare_what_is_loaded
from monitor.metrics.instruments import Instruments
from monitor.watch import Watch
from streams.errors import StreamError
from streams.kafka.group_offsets import Partition

log = logging.getLogger(__name__)

T = TypeVar("T")

LEAST_WAIT_SECONDS = 2.0
"""How long a batch of a thin stream waits at least: the monitor's thread and the app's share Python's lock,
and a batch disturbs for some 10 ms however small it is. So not one of a hundred events of the app's own
agents comes at such a moment."""
REST_SECONDS = 0.01
"""How long the monitor's thread rests after each stage of a batch, so that what the app's own agents wait for
meanwhile is one stage, a few milliseconds, and not all of them."""
ACKNOWLEDGED_AT_ONCE = 32
ACKNOWLEDGING_PAUSE_SECONDS = 0.001
"""How many events are acknowledged at a time, and how long the event loop is left to others between: an event
takes many turns of the loop on its way to an agent, of which each would wait for some to be acknowledged."""
TURN_SECONDS = 0.1
"""How often verdicts are settled and aged windows looked for while no events come."""
ATTENTION_SECONDS = 0.5
"""How soon the monitor ends its waiting when the app stops or is rebalanced."""
HOLD_UP_SECONDS = 5.0
"""How long an app that stops or is rebalanced waits for what the monitor is doing."""


def attach(app: faust.App, config: Config | str | Path, *, stop_app: bool = False) -> None:
    """Let a Faust app run the monitors of a config beside its own agents.

    It gets an agent that reads the input topics, and web views under ``/drift-monitor/``. What the monitors
    compute, and their waiting for Redis, is done in one thread of its own. Bundles are loaded, and Redis is
    asked for the first time, when the app starts.

    Parameters
    ----------
    app
        The app, not started yet.
    config
        The config, or the path of its file; changes of the file are taken up while the app runs if
        ``worker.reload_every_seconds`` is set. Its ``kafka.group.id`` is the group that the monitor's
        positions are committed for; it has to be another one than the app's own. Its ``kafka`` properties
        have to lead to the same brokers as the app's.
    stop_app
        Whether the app ends when something goes wrong with the monitor that waiting does not mend. By default
        it is logged as an error, and the app goes on without the monitor.

    Raises
    ------
    ConfigError
        If the config is wrong.
    """
    path = None if isinstance(config, Config) else Path(config)
    settings = config if isinstance(config, Config) else load_config(Path(config))
    group = settings.kafka.properties["group.id"]
    if group == app.conf.id:
        raise ConfigError(
            f"kafka.group.id is {group!r}, which is the Faust app's own group; the monitor commits its"
            " positions for a group of its own. Give it another name."
        )
    attachment = _Attachment(app, settings, path, stop_app)
    app.agent(RawTopic(app, topics=sorted(attachment.topics)), name="drift_monitor")(attachment.watch)
    app.task(attachment.turn)
    app.on_partitions_revoked.connect(attachment.on_revoked)
    app.on_partitions_assigned.connect(attachment.on_assigned)
    app.on_before_shutdown.connect(attachment.on_shutdown)
    add_views(app, settings)


class _Attachment:
    """The monitor's part of an app: what the event loop learns goes to one thread, in order."""

    def __init__(self, app: faust.App, config: Config, path: Path | None, stop_app: bool) -> None:
        self._app = app
        self._config = config
        self._path = path
        self._stop_app = stop_app
        self.topics = {monitor.input.topic for monitor in config.monitors}
        self._thread = OneThread("drift-monitor")
        self._stopping = threading.Event()
        self._endpoint = ExitStack()
        self._intake: Intake | None = None
        self._failed = False
        self._assigning: asyncio.Future[None] | None = None
        self._rebalances = 0
        self._waits_since: float | None = None

    async def watch(self, stream: faust.StreamT[Any]) -> None:
        """Count what Faust hands over, and acknowledge it when the windows hold it.

        It is acknowledged too when the app cannot wait for that, or the monitor has failed: while an event is
        not, Faust ends no rebalance, and commits nothing for agents that have read the same. What is not
        counted then is read from Kafka.
        """
        settings = self._config.worker
        wait_seconds = max(LEAST_WAIT_SECONDS, settings.batch_wait_ms / 1000)
        async for events in stream.noack_take(settings.batch_size, within=wait_seconds):
            await self._do(partial(_take, events=events))
            for number, event in enumerate(events, 1):
                await stream.ack(event)
                if number % ACKNOWLEDGED_AT_ONCE == 0:
                    await asyncio.sleep(ACKNOWLEDGING_PAUSE_SECONDS)

    async def turn(self) -> None:
        """Let the monitor do what does not depend on new events."""
        while not self._app.should_stop:
            await self._do(Intake.turn)
            await self._app.sleep(TURN_SECONDS)

    async def on_assigned(self, _: faust.App, assigned: Collection[TP], **__: Any) -> None:
        partitions = self._own(assigned)
        self._rebalances = self._app.rebalancing_count
        # Not awaited: where they begin is for Redis to say, and the group does not wait for that.
        self._assigning = asyncio.ensure_future(self._do(lambda intake: intake.assigned(partitions)))

    async def on_revoked(self, _: faust.App, revoked: Collection[TP], **__: Any) -> None:
        if self._intake is not None:
            self._intake.abandon()
            await self._do(lambda intake: intake.revoked(self._own(revoked)))

    async def on_shutdown(self, _: faust.App, **__: Any) -> None:
        self._stopping.set()
        if self._intake is not None:
            await self._do(Intake.close)
        self._endpoint.close()
        self._thread.end()

    def _own(self, partitions: Collection[TP]) -> list[Partition]:
        return sorted(Partition(*partition) for partition in partitions if partition.topic in self.topics)

    async def _do(self, action: Callable[[Intake], T]) -> T | None:
        """Do something in the monitor's thread.

        None when the monitor has failed, now or before, or when the app could not wait for it.
        """
        if self._failed:
            return None
        loop = asyncio.get_running_loop()
        done = asyncio.wrap_future(self._thread.submit(lambda: action(self._opened(loop))))
        try:
            while not (await asyncio.wait([done], timeout=ATTENTION_SECONDS))[0]:
                if self._app_has_waited():
                    # What has begun goes on, and what it counts is not counted again.
                    done.cancel()
                    return None
            return done.result()
        except Exception as error:
            # Whatever it is, the app's own agents are not to suffer.
            if not self._failed:
                self._failed = True
                await self._give_up(error)
            return None

    def _app_has_waited(self) -> bool:
        """Tell whether the app has waited long enough, and end the waiting for Redis that it waits for."""
        if not self._app_waits():
            self._waits_since = None
            return False
        if self._waits_since is None:
            self._waits_since = time.monotonic()
        return time.monotonic() - self._waits_since > HOLD_UP_SECONDS

    def _app_waits(self) -> bool:
        # Faust tells its agents only after they are done.
        if self._app.should_stop:
            self._stopping.set()
            return True
        # A rebalance lasts until the app's tables are recovered, which may be long after the assignment.
        moving = bool(self._app.rebalancing) and self._app.rebalancing_count != self._rebalances
        if moving and self._intake is not None:
            self._intake.abandon()
        return moving

    async def _give_up(self, error: Exception) -> None:
        named = isinstance(error, (MonitorError, StreamError, DetectorError))
        log.error("The monitor has stopped: %s", error, exc_info=None if named else error)
        if self._stop_app:
            # Faust would tell it once more, as a traceback.
            self._app.logger.addFilter(_without_error)
            try:
                await self._app.crash(error)
            finally:
                self._app.logger.removeFilter(_without_error)

    def _opened(self, loop: asyncio.AbstractEventLoop) -> Intake:
        if self._intake is None:
            instruments = Instruments()
            sender = AppSender(self._app, loop)
            opened = open_pipeline(self._config, sender, instruments)
            pipeline = opened.pipeline
            pipeline.stages.rest_seconds = REST_SECONDS

            def check(watches: Sequence[Watch]) -> None:
                self._check_topics(watches)
                pipeline.check(watches)

            reloader = None
            if self._path is not None:
                reloader = open_reloader(self._path, self._config, opened, check)
            endpoint = open_endpoint(self._config, pipeline, instruments)
            if endpoint is not None:
                self._endpoint.enter_context(endpoint)
            # The app's own agents would have to wait while TensorFlow's objects are looked at.
            spare_what_is_loaded()
            self._intake = Intake(self._config, pipeline, sender, instruments, self._stopping, reloader)
        return self._intake

    def _check_topics(self, watches: Sequence[Watch]) -> None:
        for watch in watches:
            topic = watch.config.input.topic
            if topic not in self.topics:
                raise ConfigError(
                    f"Monitor {watch.config.name!r} reads topic {topic!r}, which no monitor read when the"
                    " Faust app was started; start it again to read another topic."
                )


def _take(intake: Intake, events: Sequence[EventT[Any]]) -> None:
    intake.take(record_batches(events))


def _without_error(record: logging.LogRecord) -> bool:
    return record.exc_info is None
