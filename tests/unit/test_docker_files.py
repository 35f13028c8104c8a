"""The files under docker/ agree with each other, with the config and with the command line."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from monitor.checks.kafka import topic_uses
from monitor.config.file import load_config

REPO = Path(__file__).resolve().parents[2]
DOCKER = REPO / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SCRIPTS = sorted((DOCKER / "demo").glob("*.sh"))


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions as (word, rest), continuation lines joined."""
    text = (DOCKER / "Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines.splitlines() if line)]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each build stage by its name, ``FROM`` first."""
    found: dict[str, list[tuple[str, str]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            name = rest.split(" AS ")[1]
            found[name] = []
        found[name].append((word, rest))
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_or_is_built_here(name) -> None:
    service = SERVICES[name]
    if "build" in service:
        build = service["build"]
        assert (DOCKER / build["context"]).resolve() == REPO
        assert (REPO / build["dockerfile"]).is_file()
        assert build["target"] in stages()
        return
    tag = service["image"].partition(":")[2]
    assert re.match(r"v?\d+\.\d+", tag), f"{service['image']} is not pinned"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_happen(name) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if wait["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert wait["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_is_there(name) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source = mount.split(":")[0]
        assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_the_host_alone(name) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_broker_is_the_release_that_the_tests_run() -> None:
    pom = ElementTree.parse(REPO / "tests" / "kafka" / "pom.xml")
    tested = pom.findtext(".//{*}kafka.version")
    assert {SERVICES[name]["image"] for name in ("kafka", "topics")} == {f"apache/kafka:{tested}"}


def test_redis_writes_down_what_it_holds_and_evicts_nothing() -> None:
    command = shlex.join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_config_is_valid_and_its_servers_and_topics_are_made() -> None:
    config = load_config(DOCKER / "monitor.yaml")
    assert config.kafka.properties["bootstrap.servers"] in SERVICES["kafka"]["environment"][
        "KAFKA_ADVERTISED_LISTENERS"
    ].replace("://", ",").split(",")
    made = set(re.findall(r"^create (\S+)", SERVICES["topics"]["command"][0], flags=re.MULTILINE))
    assert {use.topic for use in topic_uses(config)} == made


def test_what_runs_is_not_root_and_the_worker_tells_its_health() -> None:
    for name in ("worker", "demo"):
        users = [rest for word, rest in stages()[name] if word == "USER"]
        assert users == ["drift-monitor"]
    assert "HEALTHCHECK" in dict(stages()["worker"])
    assert list(stages())[-1] == "worker", "the last stage is what a plain docker build makes"


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    let_through = {
        line[1:] for line in (REPO / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (REPO / source).exists()
                assert source in let_through


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_valid_and_stop_at_the_first_fault(script) -> None:
    assert "set -eu" in script.read_text()
    subprocess.run(["sh", "-n", script], check=True)


def test_every_script_that_a_service_runs_is_there() -> None:
    entrypoints = [service.get("entrypoint", [""]) for service in SERVICES.values()]
    run = {words[1] for words in entrypoints if words[0] == "sh"}
    assert run == {f"/opt/demo/{script.name}" for script in SCRIPTS}
