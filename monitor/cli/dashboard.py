"""``drift-monitor dashboard``: the state of all monitors as a web page."""

from __future__ import annotations

import signal
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.options import ExampleCommand, config_option, read_config
from monitor.errors import SetupError

if TYPE_CHECKING:
    from monitor.config import Config
    from monitor.dashboard.server import DashboardServer

TOKEN_VARIABLE = "DRIFT_MONITOR_TOKEN"  # noqa: S105 - where it is looked for, not what it is


@click.command(
    "dashboard",
    cls=ExampleCommand,
    examples=[
        "drift-monitor dashboard -c monitor.yaml",
        'drift-monitor dashboard -c monitor.yaml --host 0.0.0.0 --token "$TOKEN"',
    ],
)
@config_option
@click.option(
    "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8501,
    show_default=True,
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    metavar="SECRET",
    help=f"What opens the page; better given as ${TOKEN_VARIABLE}. Needed unless the address is loopback.",
)
def dashboard(config_path: Path, host: str, port: int, token: str | None) -> None:
    """Show all monitors and segments as a live web page, until Ctrl-C.

    Reads the state in Redis and changes nothing there; a Redis user that may only read is enough. Needs
    neither Kafka nor the detector bundles, so it can run anywhere.
    """
    config = read_config(config_path)
    server = dashboard_server(config, host, port, token)

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with server:
        click.echo(f"Dashboard: {server.url} (Ctrl-C ends)")
        ended.wait()


def dashboard_server(config: Config, host: str, port: int, token: str | None = None) -> DashboardServer:
    """Prepare the server of the dashboard; entering it begins to serve.

    Raises
    ------
    SetupError
        If the web framework is not installed, or the page would be open to everyone.
    """
    require_web_framework()
    from monitor.dashboard.server import DashboardServer

    return DashboardServer(config, host, port, token)


def require_web_framework() -> None:
    """See that the web framework is installed, which is an extra.

    Raises
    ------
    SetupError
        If it is not.
    """
    if not all(map(find_spec, ("starlette", "uvicorn"))):
        raise SetupError(
            "The dashboard needs its web framework; install the extra:"
            " pip install 'drift-monitor[dashboard]'."
        )
