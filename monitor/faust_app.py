"""A Faust app that does nothing but monitor: ``faust -A monitor.faust_app worker``.

It reads the config file that the environment variable ``DRIFT_MONITOR_CONFIG`` names.
"""

from __future__ import annotations

import os
from pathlib import Path

import faust

from monitor.config.file import load_config
from monitor.errors import ConfigError
from monitor.faust_plugin import attach
from monitor.faust_plugin.broker import broker_settings

CONFIG_VARIABLE = "DRIFT_MONITOR_CONFIG"


def open_app(path: Path) -> faust.App:
    """Make the app of a config file.

    Its id, which is the name of its consumer group, is the config's ``kafka.group.id`` with ``-faust`` added.

    Raises
    ------
    ConfigError
        If the config is wrong, or has what Faust cannot do.
    """
    config = load_config(path)
    properties = config.kafka.properties
    app = faust.App(
        f"{properties['group.id']}-faust",
        topic_disable_leader=True,
        # What the views tell is not for everybody; ``faust worker --web-bind`` opens them.
        web_bind="127.0.0.1",
        **broker_settings(properties),
    )
    attach(app, config, stop_app=True)
    return app


def _named_config() -> Path:
    name = os.environ.get(CONFIG_VARIABLE)
    if not name:
        raise ConfigError(f"Set the environment variable {CONFIG_VARIABLE} to the path of the config file.")
    return Path(name)


app = open_app(_named_config())
