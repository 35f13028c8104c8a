"""Whatever stands in a config file, the answer is a config or a `ConfigError`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config.file import load_config
from monitor.errors import ConfigError

GOOD = """\
kafka: {bootstrap.servers: "localhost:9092", session.timeout.ms: 6000}
redis: {url: "redis://localhost:6379/0", socket_timeout_seconds: 2.5}
worker: {batch_size: 100, log_level: info}
monitors:
  - &a
    name: cifar10
    input: {topic: events, format: json, fields: {id: a.b}}
    detector: models/cifar10
    window: {size: 100, hop: 10, max_age_seconds: 60, min_size: 20}
    test: {expected_run_time: 1000, confidence: 0.9}
    alerts: {topic: drift-alerts, raise_after: 2}
    dead_letters: {topic: rejected}
  - {<<: *a, name: other}
"""
TOKENS = [
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "!x ",
    "${A}",
    "${",
    "$${",
    "---\n",
    "\t",
    "\n",
    "- ",
    ": ",
    "? ",
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    "|",
    ">",
    "%YAML 1.1",
    "\\uD800",
    "\\UFFFFFFFF",
    "\x00",
    "\ufeff",
    "1e999",
    "-0",
    "0x_",
    ".nan",
    "null",
    "true",
    "9" * 5000,
    "redis",
    "kafka",
    "monitors",
    "\u2028",
    "é",
    "#",
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(TOKENS)
)
KEYS = st.text(max_size=5) | st.sampled_from(
    [
        "kafka",
        "redis",
        "worker",
        "monitors",
        "url",
        "name",
        "input",
        "topic",
        "window",
        "size",
        "hop",
        "test",
        "p_val",
        "fdr",
        "alternative",
        "alerts",
        "dead_letters",
        "detector",
        "fields",
        "bootstrap.servers",
        "sasl.password",
        "error_cb",
        "prefix",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
FUZZ = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    return tmp_path / "monitor.yaml"


def load(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        answer = str(type(load_config(path, {"A": "hunter2"})))
    except ConfigError as error:
        answer = str(error)
    assert answer
    assert "hunter2" not in answer


@FUZZ
@given(content=st.binary(max_size=200))
def test_any_bytes(config_path: Path, content: bytes) -> None:
    load(config_path, content)


@FUZZ
@given(pieces=st.lists(st.sampled_from(TOKENS) | st.text(max_size=5), max_size=20))
def test_any_soup_of_yaml(config_path: Path, pieces: list[str]) -> None:
    load(config_path, "".join(pieces).encode("utf-8", "surrogatepass"))


@FUZZ
@given(data=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_values(config_path: Path, data: dict[str, object]) -> None:
    load(config_path, yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass"))


@FUZZ
@given(
    start=st.integers(0, len(GOOD)),
    length=st.integers(0, 15),
    piece=st.sampled_from(TOKENS) | st.text(max_size=5),
)
def test_any_damage_to_a_good_config(config_path: Path, start: int, length: int, piece: str) -> None:
    damaged = GOOD[:start] + piece + GOOD[start + length :]
    load(config_path, damaged.encode("utf-8", "surrogatepass"))


def test_the_undamaged_config_is_good(config_path: Path) -> None:
    config_path.write_text(GOOD)

    assert len(load_config(config_path).monitors) == 2
