"""Every ``drift-monitor`` command in the files under docker/ is one that the command line understands."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from monitor.cli.main import main

DOCKER = Path(__file__).resolve().parents[2] / "docker"


def commands() -> list[list[str]]:
    """Return the arguments of every ``drift-monitor`` call in scripts, compose file and Dockerfile."""
    found = []
    for script in sorted((DOCKER / "demo").glob("*.sh")):
        for line in script.read_text().replace("\\\n", " ").splitlines():
            if (words := shlex.split(line, comments=True))[:1] == ["drift-monitor"]:
                found.append(words[1:])
    for service in yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"].values():
        if "build" in service and "command" in service:
            found.append(service["command"])
    for name in ("worker", "forwarder"):
        deployment = yaml.safe_load((DOCKER / "kubernetes" / f"{name}.yaml").read_text())
        found += [one["args"] for one in deployment["spec"]["template"]["spec"]["containers"]]
    for called in re.findall(r"^ *CMD (\[.*\])$", (DOCKER / "Dockerfile").read_text(), flags=re.MULTILINE):
        words = json.loads(called)
        found.append(words[1:] if words[0] == "drift-monitor" else words)
    return found


def test_all_kinds_of_files_are_read() -> None:
    assert {"fit", "send", "alerts", "worker", "check"} <= {words[0] for words in commands()}


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_command_line_understands(words) -> None:
    command: click.Command = main
    context = click.Context(main, info_name="drift-monitor")
    # A group that can do without a subcommand may be called with options of its own.
    while isinstance(command, click.Group) and not words[0].startswith("-"):
        child = command.get_command(context, words[0])
        assert child is not None, f"there is no command {words[0]!r}"
        command, words = child, words[1:]
        context = click.Context(command, parent=context)
    # The parser alone: it knows options and their number of values, but does not look for the files named.
    given, left_over, _ = command.make_parser(context).parse_args(list(words))
    assert left_over == []
    missing = [param.name for param in command.params if param.required and given.get(param.name) is None]
    assert missing == []
