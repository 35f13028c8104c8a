"""Secrets stay secret: canaries in every secret place of a config, faults provoked, all output searched."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import yaml

from monitor.config.file import load_config
from monitor.dashboard.access import Token
from tests.cli_setup import run, write_bundle
from tests.secured import SecuredKafka, SecuredRedis, kafka_rights
from tests.servers.ports import free_ports
from tests.traffic import TinyDetector, publish
from tests.workers import WorkerUnderTest, monitor_config

PLACES = {
    "SASL_PASSWORD": "kafka.sasl.password",
    "SSL_KEY_PASSWORD": "kafka.ssl.key.password",
    "OAUTH_SECRET": "kafka.sasl.oauthbearer.client.secret",
    "REDIS_PASSWORD": "redis.password",
    "REDIS_SSL_PASSWORD": "redis.ssl_password",
    "REGISTRY_PASSWORD": "schema_registry.password",
    "DRIFT_MONITOR_TOKEN": "--token",
}
"""Environment variables with secrets, and where they go."""


class Canaries:
    """Secrets that occur nowhere else, in the environment of this process."""

    def __init__(self, set_variable: Callable[[str, str], None]) -> None:
        self.values = {name: f"canary-{name[:3]}:/{uuid4().hex}" for name in PLACES}
        for name, value in self.values.items():
            set_variable(name, value)

    def found_in(self, text: str) -> list[str]:
        """Name the secrets that a text gives away, as they are or encoded."""
        return [
            name
            for name, value in self.values.items()
            for form in (value, quote(value, safe=""), base64.b64encode(value.encode()).decode(), value[12:])
            if form in text
        ]


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> Canaries:
    return Canaries(monkeypatch.setenv)


@pytest.fixture
def searched(
    canaries: Canaries, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Canaries]:
    """Canaries that must be in nothing that is written while the test runs, by whatever library."""
    caplog.set_level("DEBUG")
    yield canaries
    output = capfd.readouterr()
    logged = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for name, text in {"stdout": output.out, "stderr": output.err, "logs": logged}.items():
        assert canaries.found_in(text) == [], name
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    leaks = {path.name: canaries.found_in(path.read_bytes().decode("latin-1")) for path in files}
    assert {name: found for name, found in leaks.items() if found} == {}


def section(**more: str) -> dict[str, Any]:
    """Return a ``kafka`` section for a broker that is not there."""
    return {"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}", "debug": "all", **more}


OAUTH = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.client.id": "drift-worker",
    "sasl.oauthbearer.client.secret": "${OAUTH_SECRET}",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a config with the given sections; the rest is in order."""
    bundle = write_bundle(tmp_path / "bundle")

    def written(kafka: dict[str, Any], redis: dict[str, Any], **sections: Any) -> Path:
        topics = {"events": "events", "alerts": "alerts", "rejected": "rejected"}
        config = monitor_config("", "redis://127.0.0.1", bundle, topics)
        path = tmp_path / f"{uuid4().hex[:8]}.yaml"
        path.write_text(yaml.safe_dump({**config, "kafka": kafka, "redis": redis, **sections}))
        return path

    return written


def test_a_config_prints_no_secret(searched: Canaries, write: Callable[..., Path]) -> None:
    registry = {"url": "http://127.0.0.1:1", "username": "drift", "password": "${REGISTRY_PASSWORD}"}
    password = quote(searched.values["REDIS_PASSWORD"], safe="")
    config = load_config(
        write(
            section(**OAUTH)
            | {"sasl.password": "${SASL_PASSWORD}", "ssl.key.password": "${SSL_KEY_PASSWORD}"},
            {"url": "redis://drift:${ENCODED}@127.0.0.1:1/0"},
            schema_registry=registry,
        ),
        environ={**os.environ, "ENCODED": password},
    )
    assert config.redis.connection_options()["url"] == f"redis://drift:{password}@127.0.0.1:1/0"
    assert config.kafka.properties["sasl.password"] == searched.values["SASL_PASSWORD"]
    assert config.schema_registry is not None
    printed = [repr(config), str(config), config.model_dump_json(), repr(config.kafka), str(config.redis.url)]
    printed += [repr(config.schema_registry.address), repr(Token(searched.values["DRIFT_MONITOR_TOKEN"]))]
    assert searched.found_in("\n".join(printed)) == []


@pytest.mark.parametrize("command", ["check", "alerts", "send", "reference"])
def test_commands_that_reach_nobody_tell_no_secret(
    command: str, searched: Canaries, write: Callable[..., Path], tmp_path: Path
) -> None:
    kafka = section(**OAUTH) | {
        "sasl.oauthbearer.token.endpoint.url": f"http://127.0.0.1:{free_ports(1)[0]}/t"
    }
    path = write(kafka, {"url": f"redis://127.0.0.1:{free_ports(1)[0]}", "password": "${REDIS_PASSWORD}"})
    (tmp_path / "events.jsonl").write_text("{}\n")
    arguments: dict[str, list[Any]] = {
        "check": ["--json"],
        "send": [tmp_path / "events.jsonl"],
        "reference": ["-c", path],
    }
    name = ["reference", "list"] if command == "reference" else [command]
    options = [] if command == "reference" else ["-c", path]
    result = run("--debug", *name, *options, *arguments.get(command, []))
    assert result.exit_code in (1, 2), result.output
    assert "127.0.0.1" in result.output
    assert searched.found_in(result.output) == []


@pytest.mark.parametrize(
    ("kafka", "redis"),
    [
        ({"sasl.password": ["${SASL_PASSWORD}"]}, {}),
        ({"sasl.pasword": "${SASL_PASSWORD}"}, {}),
        ({"ssl.key.pem": "${SSL_KEY_PASSWORD}", "security.protocol": "SSL"}, {}),
        ({}, {"url": "redis://drift:${REDIS_PASSWORD}@127.0.0.1:nonsense/0"}),
        ({}, {"url": "redis://drift:${REDIS_PASSWORD}@127.0.0.1:1/0", "password": "${REDIS_PASSWORD}"}),
        ({}, {"password": {"from": "${REDIS_PASSWORD}"}}),
        ({}, {"pasword": "${REDIS_PASSWORD}"}),
        ({}, {"ssl_password": "${REDIS_SSL_PASSWORD}"}),
    ],
)
def test_faults_of_a_config_tell_no_secret(
    kafka: dict[str, Any], redis: dict[str, Any], searched: Canaries, write: Callable[..., Path]
) -> None:
    path = write(section() | kafka, {"url": f"redis://127.0.0.1:{free_ports(1)[0]}"} | redis)
    result = run("--debug", "check", "-c", path)
    assert result.exit_code == 2
    assert searched.found_in(result.output) == []


@pytest.mark.real_broker
@pytest.mark.slow
def test_a_worker_at_work_tells_no_secret(
    canaries: Canaries,
    tmp_path: Path,
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
) -> None:
    """With all of librdkafka's debug logs, through a Redis that goes away, and at a second start in vain."""
    user, unique = "drift-worker", uuid4().hex[:8]
    names = {"inference-events": "events", "drift-alerts": "alerts", "inference-events-rejected": "rejected"}
    topics = {use: f"{name}-{unique}" for name, use in names.items()}
    secured_kafka.create_topics(*topics.values(), f"state-{unique}")
    given = kafka_rights(
        {name: topics[use] for name, use in names.items()}
        | {"drift-monitor-forward-": f"forward-{unique}-"}
        | {"drift-monitor-state": f"state-{unique}", "drift-monitor": topics["events"]}
    )[user]
    secured_kafka.allow(*given)
    secured_kafka.scram(user, canaries.values["SASL_PASSWORD"])
    secured_redis.change(user, "resetpass", f">{canaries.values['REDIS_PASSWORD']}")

    locked = {
        name: authority.issue(name=user, passphrase=canaries.values[name])
        for name, authority in {
            "SSL_KEY_PASSWORD": secured_kafka.authority,
            "REDIS_SSL_PASSWORD": secured_redis.authority,
        }.items()
    }
    kafka = secured_kafka.client(user, sasl_mechanism="SCRAM-SHA-512", sasl_password="${SASL_PASSWORD}") | {
        "debug": "all",
        "ssl.certificate.location": str(locked["SSL_KEY_PASSWORD"].certificate),
        "ssl.key.location": str(locked["SSL_KEY_PASSWORD"].key),
        "ssl.key.password": "${SSL_KEY_PASSWORD}",
    }
    redis = secured_redis.client(user, password="${REDIS_PASSWORD}") | {
        "ssl_certfile": str(locked["REDIS_SSL_PASSWORD"].certificate),
        "ssl_keyfile": str(locked["REDIS_SSL_PASSWORD"].key),
        "ssl_password": "${REDIS_SSL_PASSWORD}",
    }
    detector = TinyDetector(tmp_path / "bundle")
    (port,) = free_ports(1)
    config = monitor_config(
        secured_kafka.broker.bootstrap,
        secured_redis.url,
        detector.path,
        topics,
        kafka=kafka,
        redis=redis,
        worker={"log_level": "debug", "log_format": "json", "http": {"port": port}},
        window={"size": 20},
    )
    with WorkerUnderTest(tmp_path / "worker", config).start() as worker:
        publish(
            secured_kafka.broker.internal_bootstrap, topics["events"], detector.harmful(30, seed=1).values
        )
        worker.wait_for("verdict", lambda: secured_redis.admin.exists("drift:{m}:verdicts:all"))
        title = Path(f"/proc/{worker.process.pid}/cmdline").read_bytes().decode()
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        secured_redis.server.stop()
        worker.wait_for("notice", lambda: "cannot be used right now" in worker.log)
        assert worker.stop() == 0
        log = worker.log
    secured_kafka.withdraw(*given)

    assert "SASLMECHS" in log, "librdkafka's debug logs are to be searched"
    assert all(json.loads(line) for line in log.splitlines() if line.startswith("{"))
    for name, text in {"log": log, "command line": title, "metrics": metrics}.items():
        assert canaries.found_in(text) == [], name
    files = [path for path in tmp_path.rglob("*") if path.is_file() and "secured-redis" not in path.parts]
    assert [path for path in files if canaries.found_in(path.read_bytes().decode("latin-1"))] == []
