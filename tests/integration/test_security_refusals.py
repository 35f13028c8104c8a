"""A wrong password, certificate or protocol: one sentence, from check and worker alike."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli_setup import Deployment, deployment, run, write_bundle
from tests.secured import PASSWORD, SecuredKafka, SecuredRedis
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

TOPICS = ("refusals-events", "refusals-alerts", "refusals-rejected")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "good")


@pytest.fixture(scope="module")
def kafka(secured_kafka: SecuredKafka) -> SecuredKafka:
    """The secured broker, with topics and with a user that logs in by SCRAM."""
    secured_kafka.create_topics(*TOPICS)
    secured_kafka.scram("scrammer")
    return secured_kafka


@pytest.fixture
def config(tmp_path: Path, kafka: SecuredKafka, redis_url: str, bundle: Path) -> Deployment:
    """A deployment in which everything is right."""
    found = deployment(tmp_path, "", redis_url, topics=TOPICS)
    found.kafka = kafka.client()
    found.monitor["detector"] = str(bundle)
    return found


def refusals(config: Deployment) -> dict[str, str]:
    """Return what ``check`` says has failed, by subject; a worker begins with the same checks."""
    checked = run("check", "-c", config.path, "--json")
    lines = [json.loads(line) for line in checked.stdout.splitlines()]
    failed = {line["subject"]: line["sentence"] for line in lines if line["severity"] == "failed"}
    assert checked.exit_code == (2 if failed else 0)
    return failed


KAFKA_REFUSALS: dict[str, tuple[Callable[[SecuredKafka], dict[str, Any]], str]] = {
    "password-plain": (
        lambda kafka: kafka.client(sasl_password="wrong-guess"),
        "refused the login: SASL authentication error: Authentication failed: Invalid username or password;"
        " check kafka.sasl.username, kafka.sasl.password",
    ),
    "password-scram": (
        lambda kafka: kafka.client("scrammer", sasl_mechanism="SCRAM-SHA-512", sasl_password="wrong-guess"),
        "invalid credentials with SASL mechanism SCRAM-SHA-512; check kafka.sasl.username",
    ),
    "password-scram-without-tls": (
        lambda kafka: kafka.client(
            "scrammer",
            sasl_mechanism="SCRAM-SHA-256",
            sasl_password="wrong-guess",
            security_protocol="SASL_PLAINTEXT",
            bootstrap_servers=kafka.broker.address("UNCIPHERED"),
        ),
        "invalid credentials with SASL mechanism SCRAM-SHA-256; check kafka.sasl.username",
    ),
    "expired": (
        lambda kafka: kafka.client(bootstrap_servers=kafka.broker.address("EXPIRED")),
        "the broker's certificate is refused: certificate has expired; check kafka.security.protocol",
    ),
    "another-host": (
        lambda kafka: kafka.client(bootstrap_servers=kafka.broker.address("ELSEWHERE")),
        "the broker's certificate is refused: IP address mismatch, certificate is not valid for '127.0.0.1';",
    ),
    "unknown-authority": (
        lambda kafka: kafka.client(ssl_ca_location=str(kafka.strangers.certificate)),
        "the broker's certificate is refused: unable to get local issuer certificate;",
    ),
    "no-client-certificate": (
        lambda kafka: kafka.client_with(None),
        "TLS connection to Kafka at 127.0.0.1:{port} failed: ",
    ),
    "client-certificate-of-a-stranger": (
        lambda kafka: kafka.client_with(kafka.strangers.issue(name="drift-worker")),
        "TLS connection to Kafka at 127.0.0.1:{port} failed: ",
    ),
    "expired-client-certificate": (
        lambda kafka: kafka.client_with(kafka.authority.issue(name="drift-worker", expired=True)),
        "TLS connection to Kafka at 127.0.0.1:{port} failed: ",
    ),
    "passphrase": (
        lambda kafka: kafka.client_with(
            kafka.authority.issue(name="locked", passphrase=PASSWORD), ssl_key_password="wrong-guess"
        ),
        "librdkafka refuses the properties: ssl.key.location failed",
    ),
    "no-tls-where-it-is-expected": (
        lambda kafka: kafka.client(security_protocol="PLAINTEXT"),
        "it may expect TLS or a login, which kafka.security.protocol would say.",
    ),
    "tls-where-there-is-none": (
        lambda kafka: kafka.client(bootstrap_servers=kafka.broker.internal_bootstrap),
        "failed: the broker closed it; it may speak no TLS there, or want a client certificate; check",
    ),
}


@pytest.mark.parametrize("fault", KAFKA_REFUSALS)
def test_kafka_refuses(fault: str, config: Deployment, kafka: SecuredKafka) -> None:
    properties, expected = KAFKA_REFUSALS[fault]
    config.kafka = properties(kafka)
    failed = refusals(config)
    assert failed.keys() == {"Kafka"}
    assert expected.format(port=config.kafka["bootstrap.servers"].rpartition(":")[2]) in failed["Kafka"]
    assert "\n" not in failed["Kafka"]
    assert "wrong-guess" not in failed["Kafka"]


REDIS_REFUSALS: dict[str, tuple[Callable[[SecuredRedis], dict[str, Any]], str]] = {
    "password": (
        lambda redis: redis.client(password="wrong-guess"),
        "refused the user name or password: invalid username-password pair or user is disabled; check"
        " redis.url, redis.username and redis.password.",
    ),
    "no-password": (
        lambda redis: redis.client(username=None, password=None),
        "refused the user name or password",
    ),
    "unknown-authority": (
        lambda redis: redis.client(ssl_ca_certs=str(redis.strangers.certificate)),
        "certificate verify failed: self-signed certificate in certificate chain; check redis.url and the"
        " redis.ssl_ keys.",
    ),
    "no-such-file": (
        lambda redis: redis.client(ssl_ca_certs="/nowhere/ca.pem"),
        "redis.ssl_ca_certs names /nowhere/ca.pem, which is not a file.",
    ),
    "passphrase": (
        lambda redis: redis.client(
            **_shown(redis.authority.issue(name="locked", passphrase=PASSWORD)), ssl_password="wrong-guess"
        ),
        "the private key cannot be read with this passphrase",
    ),
    "no-tls-where-it-is-expected": (
        lambda redis: redis.client(url=redis.url.replace("rediss", "redis"), ssl_ca_certs=None),
        "it may expect TLS, for which redis.url begins with rediss://.",
    ),
}


def _shown(files: Any) -> dict[str, str]:
    return {"ssl_certfile": str(files.certificate), "ssl_keyfile": str(files.key)}


@pytest.mark.parametrize("fault", REDIS_REFUSALS)
def test_redis_refuses(fault: str, config: Deployment, secured_redis: SecuredRedis) -> None:
    section, expected = REDIS_REFUSALS[fault]
    config.redis = section(secured_redis)
    failed = refusals(config)
    assert failed.keys() == {"Redis"}
    assert expected in failed["Redis"]
    assert "wrong-guess" not in failed["Redis"]


@pytest.mark.parametrize(
    ("identity", "expired", "expected"),
    [
        ("127.0.0.1", True, "certificate verify failed: certificate has expired; check redis.url"),
        ("elsewhere.example", False, "IP address mismatch, certificate is not valid for '127.0.0.1'; check"),
    ],
)
def test_redis_with_a_wrong_certificate(
    config: Deployment, secured_redis: SecuredRedis, identity: str, expired: bool, expected: str
) -> None:
    config.redis = secured_redis.client()
    secured_redis.show(secured_redis.authority.issue(identity, expired=expired))
    assert expected in refusals(config)["Redis"]


def test_redis_that_wants_a_client_certificate(config: Deployment, secured_redis: SecuredRedis) -> None:
    secured_redis.admin.config_set("tls-auth-clients", "yes")
    config.redis = secured_redis.client()
    # The server closes the connection, and whether its reason comes first is a matter of time.
    assert re.search(
        r"certificate required; check redis.url and|it may want a client certificate",
        refusals(config)["Redis"],
    )
    config.redis |= _shown(secured_redis.authority.issue(name="worker"))
    assert refusals(config) == {}


def test_redis_without_tls_where_it_is_asked_for(
    config: Deployment, secured_redis: SecuredRedis, new_redis: Callable[..., RedisServer]
) -> None:
    plain = new_redis()
    config.redis = secured_redis.client(url=f"rediss://127.0.0.1:{plain.port}/0", socket_timeout_seconds=0.5)
    assert "it may not speak TLS, without which redis.url begins with redis://." in refusals(config)["Redis"]


def test_a_worker_tells_the_same_and_does_not_begin(config: Deployment, secured_redis: SecuredRedis) -> None:
    config.kafka["sasl.password"] = "wrong-guess"
    config.redis = secured_redis.client(password="wrong-guess")
    told = refusals(config)
    command = [sys.executable, "-m", "monitor.cli.main", "worker", "-c", str(config.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("drift-monitor: ")]
    assert said == [f"drift-monitor: {subject}: {sentence}" for subject, sentence in told.items()]
    assert "Traceback" not in done.stderr
