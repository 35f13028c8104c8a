"""A Faust app that does nothing but monitor."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import faust

from monitor.checks.findings import require
from monitor.checks.kafka import check_kafka, topic_uses
from monitor.config import Config
from monitor.config.file import load_config
from monitor.errors import MonitorError, SetupError
from monitor.faust_plugin.attachment import attach
from monitor.faust_plugin.broker import broker_settings


def open_app(path: Path, **settings: Any) -> faust.App:
    """Make the app of a config file.

    Its id, which is the name of its consumer group, is the config's ``kafka.group.id`` with ``-faust`` added.

    Parameters
    ----------
    path
        The config file.
    settings
        Further settings of the app; they go before those that follow from the config.

    Raises
    ------
    ConfigError
        If the config is wrong, or has what Faust cannot do.
    """
    config = load_config(path)
    properties = config.kafka.properties
    ours = {
        "topic_disable_leader": True,
        # What the views tell is not for everybody; ``faust worker --web-bind`` opens them.
        "web_bind": "127.0.0.1",
        "datadir": _nowhere(),
        **broker_settings(properties),
    }
    app = _MonitorApp(f"{properties['group.id']}-faust", **{**ours, **settings})
    app.config = config
    attach(app, path, stop_app=True)
    return app


def exit_with(error: MonitorError) -> NoReturn:
    """End the program with an error, a line for each thing that is wrong."""
    sys.exit("\n".join(f"drift-monitor: {line}" for line in str(error).splitlines()))


class _MonitorApp(faust.App):  # type: ignore[misc]
    """Looks whether Kafka has what the config names before Faust, which would only show where it failed."""

    config: Config

    async def on_first_start(self) -> None:
        await super().on_first_start()
        try:
            await asyncio.to_thread(self._check)
        except SetupError as error:
            exit_with(error)

    def _check(self) -> None:
        require(check_kafka(self.config.kafka.properties, topic_uses(self.config), group=True))


def _nowhere() -> str:
    """Return a directory for the data of an app that has none; Faust would leave one where it was started."""
    path = tempfile.mkdtemp(prefix="drift-monitor-faust-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
