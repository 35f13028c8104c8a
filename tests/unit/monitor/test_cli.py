"""The command line as such: help, versions, wrong usage, and errors as sentences."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from detectors.errors import BundleError
from monitor.cli.command_line import CommandLine
from monitor.cli.main import SUBCOMMANDS, main
from monitor.errors import ConfigError
from streams.errors import KafkaError
from tests.cli_setup import complaints, run

REPO = Path(__file__).resolve().parents[3]


def subcommands() -> list[tuple[str, ...]]:
    context = click.Context(main)
    names = []
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        names.append((name,))
        if isinstance(command, click.Group):
            names += [(name, inner) for inner in command.list_commands(context)]
    return names


def test_help_lists_every_subcommand_with_what_it_does():
    result = run("--help")
    assert result.exit_code == 0
    for name, summary in SUBCOMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(summary.split()[0])}", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("words", subcommands(), ids=" ".join)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_subcommand_explains_itself_with_an_example(words, flag):
    result = run(*words, flag)
    assert result.exit_code == 0
    assert f"Usage: main {' '.join(words)}" in result.stdout
    options = result.stdout.split("Options:")[1]
    for line in options.split("Example")[0].splitlines():
        if re.match(r"^  -", line):
            assert re.search(r"\S  +\S|^  \S+( \S+)*$", line), f"no explanation: {line}"


@pytest.mark.parametrize("words", [words for words in subcommands() if words != ("demo",)], ids=" ".join)
def test_help_ends_with_commands_to_copy(words):
    result = run(*words, "--help")
    examples = re.split(r"^Examples?:$", result.stdout, flags=re.MULTILINE)[1]
    # A long command may go on in the next line, as in a shell.
    commands = [line.strip() for line in examples.replace("\\\n", " ").split("\n") if line.strip()]
    assert commands
    assert all(command.startswith("drift-monitor " + words[0]) for command in commands)


@pytest.mark.parametrize("words", [("--help",), ("worker", "--help"), ("fit", "--help"), ("--version",)])
def test_help_does_not_load_tensorflow(words):
    code = (
        "import sys\nfrom monitor.cli.main import main\n"
        f"try:\n    main({list(words)!r})\n"
        "except SystemExit:\n    sys.exit('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_packages():
    result = run("--version")
    assert re.fullmatch(r"drift-monitor, version \d+\.\d+\.\d+\S*\n", result.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("wrker",), "No such command 'wrker'; did you mean 'worker'?"),
        (("check",), "Missing option '-c' / '--config'."),
        (("worker", "--confg", "x"), "No such option"),
        (("alerts", "-c", "x", "--max", "0"), "0 is not in the range x>=1."),
        (("send", "-c", "x", "--format", "avro", "f.npy"), "'avro' is not one of 'json', 'tensor'."),
        (("fit", "--data", "x.npy", "-o", "b", "--loss", "mse"), "'mse' is not one of 'kld', 'xent'."),
    ],
)
def test_wrong_usage_is_told_on_stderr_with_where_to_look(words, message):
    result = run(*words)
    said = complaints(result)
    assert result.exit_code == 2
    assert message in said[0]
    assert said[-1].startswith("See '")
    assert result.stdout == ""


def test_a_group_without_a_command_shows_its_help():
    result = run("reference")
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


def failing_with(error: BaseException) -> CommandLine:
    """Make a command line whose only command raises."""

    @click.command("fail")
    def fail() -> None:
        raise error

    group = CommandLine("drift-monitor", subcommands={"fail": "Fail."})
    group.params.append(click.Option(["--debug"], is_flag=True))
    group.get_command = lambda ctx, name: fail
    return group


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("a.yaml:1: first\na.yaml:2: second"), 2, ["a.yaml:1: first", "a.yaml:2: second"]),
        (BundleError("It has been altered."), 2, ["It has been altered."]),
        (KafkaError("It refused."), 1, ["It refused."]),
        (OSError(28, "No space left on device", "/data/b"), 1, ["/data/b: No space left on device."]),
    ],
)
def test_errors_become_sentences_and_exit_codes(error, code, said):
    result = CliRunner().invoke(failing_with(error), ["fail"])
    assert (result.exit_code, complaints(result)) == (code, said)


def test_an_unexpected_error_is_a_sentence_too_and_a_traceback_with_debug():
    group = failing_with(ZeroDivisionError("division by zero"))
    result = CliRunner().invoke(group, ["fail"])
    assert result.exit_code == 1
    assert "ZeroDivisionError: division by zero" in complaints(result)[0]
    assert "--debug" in complaints(result)[0]
    debugged = CliRunner().invoke(group, ["--debug", "fail"])
    assert debugged.exit_code == 1
    assert "Traceback (most recent call last)" in debugged.stderr


def test_ctrl_c_ends_with_the_code_that_shells_know():
    result = CliRunner().invoke(failing_with(KeyboardInterrupt()), ["fail"])
    assert (result.exit_code, complaints(result)[-1]) == (130, "Interrupted.")


def test_a_reader_that_goes_away_causes_no_traceback():
    command = [sys.executable, "-m", "monitor.cli.main", "fit", "--help"]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
        process.wait(timeout=60)
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_tensorflow_is_loaded_without_noise_and_its_own_log_level_wins():
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    code = "from monitor.cli.tensorflow_loading import load_tensorflow; load_tensorflow()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
