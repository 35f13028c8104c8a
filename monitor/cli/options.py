"""Options that several subcommands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from monitor.config import Config, MonitorConfig

_Function = TypeVar("_Function", bound=Callable[..., Any])

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
"""Settings of every command."""


class ExampleCommand(click.Command):
    """A command whose help ends with examples."""

    def __init__(self, *args: Any, examples: Sequence[str], **attributes: Any) -> None:
        attributes.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they are, for copying."""
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write(f"  {example}\n")


class ExampleGroup(ExampleCommand, click.Group):
    """A group whose help ends with examples."""


def config_option(function: _Function) -> _Function:
    """Add ``-c/--config``."""
    return _config_option(function, required=True)


def optional_config_option(function: _Function) -> _Function:
    """Add ``-c/--config`` to a group that does something itself when no subcommand is called."""
    return _config_option(function, required=False)


def _config_option(function: _Function, *, required: bool) -> _Function:
    return click.option(
        "-c",
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        required=required,
        metavar="FILE",
        help="The config, such as monitor.yaml.",
    )(function)


def monitor_option(function: _Function) -> _Function:
    """Add ``-m/--monitor``."""
    return click.option(
        "-m",
        "--monitor",
        "monitor_name",
        metavar="NAME",
        help="Monitor of the config; needed when it has several.",
    )(function)


def read_config(path: Path) -> Config:
    """Read and check the config file.

    Raises
    ------
    ConfigError
        If it is wrong, one line for each fault.
    """
    # Pydantic and librdkafka take a quarter of a second to import, which --help need not wait for.
    from monitor.config.file import load_config

    return load_config(path)


def check_output_file(path: Path, option: str) -> None:
    """Find out before the work whether its result could be written.

    Raises
    ------
    SetupError
        If the file's directory is not there, or may not be written to.
    """
    from monitor.errors import SetupError

    directory = path.absolute().parent
    if not directory.is_dir():
        raise SetupError(f"{option}: {path} cannot be written; there is no directory {directory}.")
    if not os.access(path if path.exists() else directory, os.W_OK):
        raise SetupError(f"{option}: {path} may not be written; choose another place.")


def choose_monitor(config: Config, name: str | None) -> MonitorConfig:
    """Find a monitor by name; the only one when there is no choice.

    Raises
    ------
    SetupError
        If there is no such monitor, or a choice but no name.
    """
    from monitor.config.faults import nearest, quoted_choice
    from monitor.errors import SetupError

    names = [monitor.name for monitor in config.monitors]
    if name is None:
        if len(names) == 1:
            return config.monitors[0]
        raise SetupError(f"The config has several monitors; name one with --monitor: {quoted_choice(names)}.")
    if name not in names:
        meant = nearest(name, names)
        advice = f"did you mean '{meant}'?" if meant else f"it has {quoted_choice(names)}."
        raise SetupError(f"The config has no monitor {name!r}; {advice}")
    return config.monitors[names.index(name)]
