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


class RuntimeFailure(click.ClickException):
    """What ends a subcommand at work; the message has one line for each fault."""

    exit_code = EXIT_RUNTIME


class SetupFailure(click.ClickException):
    """What ends a subcommand before its work begins; the message has one line for each fault."""

    exit_code = EXIT_SETUP


class Interrupted(click.ClickException):
    """Ctrl-C."""

    exit_code = EXIT_INTERRUPTED


def explain(error: Exception) -> click.ClickException:
    """Turn what a subcommand raised into what its user is told."""
    if isinstance(error, _SETUP_ERRORS):
        return SetupFailure(str(error))
    if isinstance(error, _NAMED_ERRORS):
        return RuntimeFailure(str(error))
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return RuntimeFailure(f"{where}{error.strerror}.")
    name = type(error).__name__
    return RuntimeFailure(
        f"Something went wrong that should not have: {name}: {_first_line(error)}."
        " Run 'drift-monitor --debug ...' to see where, and report it."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no explanation"
