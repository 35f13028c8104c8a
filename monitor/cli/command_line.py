"""The group behind ``drift-monitor``: subcommands imported on demand, and every error as one sentence."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from monitor.cli.failures import EXIT_RUNTIME, Interrupted, explain

PROGRAM = "drift-monitor"


class CommandLine(click.Group):
    """A group whose subcommands are modules, imported when they are called.

    Parameters
    ----------
    subcommands
        What each subcommand does, in a few words, by its name. Subcommand ``x`` is the attribute ``x`` of the
        module ``monitor.cli.x``.
    """

    def __init__(self, *args: Any, subcommands: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._subcommands = subcommands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the subcommands in the order in which a newcomer meets them."""
        return list(self._subcommands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        if cmd_name not in self._subcommands:
            return None
        command: click.Command = getattr(import_module(f"monitor.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that is called; one that is nearly right is named."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            meant = get_close_matches(args[0], self._subcommands, n=1)
            if not meant:
                raise
            ctx.fail(f"{error.message.rstrip('.')}; did you mean '{meant[0]}'?")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._subcommands.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; what it raises becomes a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            raise Interrupted("Interrupted.") from None
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise explain(error) from error

    def main(  # type: ignore[override]  # the overload that never returns is not told apart
        self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run and exit: 0 after success, 1 after a failure at work, 2 when set up wrongly."""
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            outcome = super().main(args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            raise SystemExit(error.exit_code) from None
        except click.UsageError as error:
            _say(error.format_message())
            if error.ctx is not None:
                _say(f"See '{error.ctx.command_path} --help'.")
            raise SystemExit(error.exit_code) from None
        except click.ClickException as error:
            _say(error.format_message())
            raise SystemExit(error.exit_code) from None
        except BrokenPipeError:
            # Whoever read the output has gone; without this the interpreter complains when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(EXIT_RUNTIME) from None
        raise SystemExit(outcome if isinstance(outcome, int) else 0)


def _say(message: str) -> None:
    for line in message.splitlines():
        click.echo(f"{PROGRAM}: {line}", err=True)
