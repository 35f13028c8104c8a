"""Log lines for people and for machines."""

from __future__ import annotations

import io
import json
import logging

import pytest

from monitor.logs import about, configure_logging


@pytest.fixture(autouse=True)
def restored_logging():
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_json_lines_can_be_parsed_and_keep_extras_and_exceptions():
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    log = logging.getLogger("monitor.test")
    log.info("Reading %d partitions.", 3, extra={"topic": "events"})
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        log.exception("It failed.")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "monitor.test",
        "message": "Reading 3 partitions.",
        "topic": "events",
    }
    assert first["time"].endswith("Z")
    assert "ValueError: broken" in second["exception"]


def test_text_lines_say_when_how_severe_and_what():
    stream = io.StringIO()
    configure_logging("text", "warning", stream)
    log = logging.getLogger("monitor.test")
    log.info("Too much detail.")
    log.warning("Redis is away.")
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("WARNING Redis is away.")
    assert line[:4].isdigit()


def test_json_lines_tell_what_they_are_about():
    stream = io.StringIO()
    configure_logging("json", "info", stream)
    about(logging.getLogger("monitor.test"), monitor="churn", partition=3).warning("It is new.")
    line = json.loads(stream.getvalue())
    assert (line["message"], line["monitor"], line["partition"]) == ("It is new.", "churn", 3)
