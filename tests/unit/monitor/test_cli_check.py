"""``drift-monitor check`` and ``worker`` where no server is needed: wrong configs and wrong arguments."""

from __future__ import annotations

import json

import pytest

from tests.cli_setup import complaints, deployment, run


def test_a_missing_config_is_one_finding():
    result = run("check", "-c", "nowhere.yaml")
    assert result.exit_code == 2
    assert result.stdout == "failed  config: There is no config file nowhere.yaml; name one that exists.\n"


def test_a_worker_with_a_missing_config_says_so():
    result = run("worker", "-c", "nowhere.yaml")
    assert result.exit_code == 2
    assert complaints(result) == ["There is no config file nowhere.yaml; name one that exists."]


def test_every_fault_of_a_config_has_a_line_of_its_own(tmp_path):
    config = deployment(tmp_path, "localhost:9092", "redis://localhost:6379/0")
    config.monitor["window"] = {"sise": 20}
    config.monitor["alerts"] = {"topic": "a/b"}
    result = run("worker", "-c", config.path)
    said = complaints(result)
    assert result.exit_code == 2
    assert len(said) == 3
    assert any("monitors[0].window.sise" in line and "did you mean 'size'?" in line for line in said)
    assert any("monitors[0].alerts.topic must be a Kafka topic" in line for line in said)
    assert all(line.startswith(f"{config.path}:") for line in said)


def test_findings_can_be_read_by_machines(tmp_path):
    path = tmp_path / "monitor.yaml"
    path.write_text("kafka: {bootstrap.servers: x:1}\n")
    result = run("check", "-c", path, "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 2
    assert {finding["severity"] for finding in found} == {"failed"}
    assert all(finding["subject"] == "config" for finding in found)


@pytest.mark.parametrize("command", ["check", "worker"])
def test_secrets_of_the_environment_are_never_shown(tmp_path, monkeypatch, command):
    monkeypatch.setenv("DRIFT_TEST_SECRET", "hunter2")
    config = deployment(tmp_path, "localhost:9092", "redis://localhost:6379/0")
    config.redis["password"] = "${DRIFT_TEST_SECRET}"
    config.redis["pasword"] = "${DRIFT_TEST_SECRET}"
    result = run(command, "-c", config.path)
    assert result.exit_code == 2
    assert "redis.pasword" in result.output
    assert "hunter2" not in result.output
