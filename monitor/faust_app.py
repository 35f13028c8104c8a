"""A Faust app that does nothing but monitor: ``faust -A monitor.faust_app worker``.

It reads the config file that the environment variable ``DRIFT_MONITOR_CONFIG`` names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import faust

from monitor.errors import ConfigError
from monitor.faust_plugin.app import exit_with, open_app

CONFIG_VARIABLE = "DRIFT_MONITOR_CONFIG"


def _open() -> faust.App:
    name = os.environ.get(CONFIG_VARIABLE)
    if not name:
        sys.exit(f"drift-monitor: Set {CONFIG_VARIABLE} to the path of the config file.")
    try:
        return open_app(Path(name))
    except ConfigError as error:
        exit_with(error)


app = _open()
