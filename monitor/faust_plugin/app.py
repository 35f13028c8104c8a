"""A Faust app that does nothing but monitor."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

import faust

from monitor.config.file import load_config
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
    app = faust.App(f"{properties['group.id']}-faust", **{**ours, **settings})
    attach(app, path, stop_app=True)
    return app


def _nowhere() -> str:
    """Return a directory for the data of an app that has none; Faust would leave one where it was started."""
    path = tempfile.mkdtemp(prefix="drift-monitor-faust-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path
