"""Errors as an operator sees them: a sentence and an exit code."""

from __future__ import annotations

import click

from detectors.errors import BundleError, DetectorError, InvalidArgumentError, NotReadyError
from monitor.errors import ConfigError, MonitorError, SetupError
from streams.errors import CodecError, StreamError

EXIT_RUNTIME = 1
"""Something failed at work."""
EXIT_SETUP = 2
"""Something is wrong with what was given: arguments, config, files, servers, before any work began."""
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells report it: 128 and the number of SIGINT."""

_SETUP_ERRORS = (ConfigError, SetupError, BundleError, InvalidArgumentError, NotReadyError, CodecError)
_NAMED_ERRORS = (DetectorError, StreamError, MonitorError)


class CommandError(click.ClickException):
    """What ends a subcommand.

    Parameters
    ----------
    message
        What went wrong; one line for each fault.
    exit_code
        ``EXIT_RUNTIME`` or ``EXIT_SETUP``.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def explain(error: Exception) -> CommandError:
    """Turn what a subcommand raised into what its user is told."""
    if isinstance(error, _NAMED_ERRORS):
        return CommandError(str(error), EXIT_SETUP if isinstance(error, _SETUP_ERRORS) else EXIT_RUNTIME)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return CommandError(f"{where}{error.strerror}.", EXIT_RUNTIME)
    name = type(error).__name__
    return CommandError(
        f"Something went wrong that should not have: {name}: {_first_line(error)}."
        " Run 'drift-monitor --debug ...' to see where, and report it.",
        EXIT_RUNTIME,
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no explanation"
