"""The rights that the docs list are enough for each role, none is too many, and a missing one is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from confluent_kafka.admin import AclBinding, AclOperation

from monitor.alerts import AlertKind
from monitor.checks.kafka import alert_uses, check_forwarder, check_kafka, topic_uses
from monitor.checks.redis_rights import REFERENCES, WORKER, missing_rights
from monitor.config import Config
from monitor.config.file import load_config
from monitor.config.kafka_properties import for_consumer
from monitor.forwarding.forwarder import Forwarder
from streams.errors import KafkaError, RedisError
from streams.state.redis_connection import RedisConnection
from tests.cli_setup import run
from tests.sample_alerts import built, judged
from tests.secured import PASSWORD, SecuredKafka, SecuredRedis, kafka_rights, redis_rights
from tests.servers.http_receiver import HttpReceiver
from tests.traffic import TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config, wait_until, write_config

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

PLACES = {
    "events": "inference-events",
    "alerts": "drift-alerts",
    "rejected": "inference-events-rejected",
    "state": "drift-monitor-state",
}
"""Topics by what a config uses them for, as the docs name them."""


class Rights(NamedTuple):
    """Topics that exist on the secured broker, and the rights of the docs on them, by user."""

    topics: dict[str, str]
    by_user: dict[str, list[AclBinding]]


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def rights(secured_kafka: SecuredKafka) -> Iterator[Rights]:
    """New topics, and the rights of the docs on them; nobody has any others."""
    unique = uuid4().hex[:8]
    topics = {use: f"{name}-{unique}" for use, name in PLACES.items()}
    secured_kafka.create_topics(*topics.values())
    names = {name: topics[use] for use, name in PLACES.items()}
    names |= {"drift-monitor": topics["events"], "drift-monitor-forward-": f"{topics['alerts']}-forward-"}
    found = Rights(topics, kafka_rights(names))
    given = [rule for rules in found.by_user.values() for rule in rules]
    secured_kafka.allow(*given)
    for user in found.by_user:
        secured_kafka.scram(user)
    yield found
    secured_kafka.withdraw(*given)


def scram(kafka: SecuredKafka, user: str) -> dict[str, Any]:
    return kafka.client(user, sasl_mechanism="SCRAM-SHA-512")


def login(kafka: SecuredKafka, way: str) -> dict[str, Any]:
    """Return properties of the worker's user, who may log in in four ways."""
    if way == "certificate":
        return kafka.client_with(kafka.authority.issue(name="drift-worker", passphrase=PASSWORD)) | {
            "ssl.key.password": PASSWORD
        }
    if way == "scram-without-tls":
        address = kafka.broker.address("UNCIPHERED")
        return kafka.client(
            "drift-worker",
            sasl_mechanism="SCRAM-SHA-256",
            security_protocol="SASL_PLAINTEXT",
            bootstrap_servers=address,
        )
    return kafka.client("drift-worker", sasl_mechanism={"plain": "PLAIN", "scram": "SCRAM-SHA-512"}[way])


@pytest.fixture
def config(
    secured_kafka: SecuredKafka, secured_redis: SecuredRedis, detector: TinyDetector, rights: Rights
) -> Callable[..., dict[str, Any]]:
    """Return a config of the worker's user, by way of login."""

    def described(way: str = "scram") -> dict[str, Any]:
        properties = login(secured_kafka, way)
        return monitor_config(
            properties["bootstrap.servers"],
            secured_redis.url,
            detector.path,
            rights.topics,
            kafka=properties,
            redis=secured_redis.client(),
            window={"size": 40},
        )

    return described


@pytest.mark.parametrize("way", ["plain", "scram", "scram-without-tls", "certificate"])
def test_a_worker_does_all_its_work_with_these_rights_and_uses_each(
    way: str,
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
    detector: TinyDetector,
    rights: Rights,
) -> None:
    secured_redis.admin.config_resetstat()
    inside = secured_kafka.broker.internal_bootstrap
    with WorkerThread(tmp_path, config(way)) as worker:
        publish(inside, rights.topics["events"], [b"no event", *detector.calm(30, seed=1).values])
        publish(inside, rights.topics["events"], detector.harmful(70, seed=2).values)
        (alert,) = consume(inside, rights.topics["alerts"], 1)
        (letter,) = consume(inside, rights.topics["rejected"], 1)
        consume(inside, rights.topics["state"], 1)
        worker.wait_for("settlement", lambda: secured_redis.admin.llen("drift:{m}:verdicts:all") == 2)
        worker.wait_for("commit", lambda: committed(secured_kafka, rights.topics["events"]) == 101)
    assert b"drift.detected" in alert.value()
    assert letter.value() == b"no event"

    documented = {rule.removeprefix("+") for rule in redis_rights()["drift-worker"] if rule.startswith("+")}
    used = secured_redis.commands_run() - {"auth", "hello", "config|resetstat", "info", "llen"}
    # Keys are deleted only by 'drift-monitor check', which cleans up behind itself.
    assert used | {"del"} == documented
    refused = [entry for entry in secured_redis.admin.acl_log() if entry["object"] != "client|setinfo"]
    assert refused == []


def committed(kafka: SecuredKafka, group: str) -> int:
    from confluent_kafka import ConsumerGroupTopicPartitions

    asked = kafka.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    return max((found.offset for found in asked[group].result().topic_partitions), default=-1)


def test_a_worker_starts_anew_from_the_state_topic_with_these_rights(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_redis: SecuredRedis,
    rights: Rights,
    secured_kafka: SecuredKafka,
    detector: TinyDetector,
) -> None:
    inside = secured_kafka.broker.internal_bootstrap

    def settled() -> bool:
        return secured_redis.admin.hget("drift:{m}:alerts", "all") is not None

    publish(inside, rights.topics["events"], detector.calm(40, seed=1).values)
    with WorkerThread(tmp_path, config()) as worker:
        worker.wait_for("settlement", settled)
        secured_redis.admin.flushdb()
        worker.wait_for("recovery", settled)


def test_checks_ask_for_each_right_of_the_worker_in_kafka(
    tmp_path: Path, config: Callable[..., dict[str, Any]], secured_kafka: SecuredKafka, rights: Rights
) -> None:
    loaded = load_config(write_config(tmp_path, config()))

    def failed() -> list[tuple[str, str]]:
        found = check_kafka(loaded.kafka.properties, topic_uses(loaded), group=True)
        return [(each.subject, each.sentence) for each in found if each.severity.value == "failed"]

    assert failed() == []
    verbs = {AclOperation.READ: "read", AclOperation.WRITE: "write to"}
    for rule in rights.by_user["drift-worker"]:
        secured_kafka.withdraw(rule)
        ((subject, sentence),) = failed()
        secured_kafka.allow(rule)
        kind = rule.restype.name.lower()
        assert subject == f"{kind} {rule.name}"
        verb = "join" if kind == "group" else verbs[rule.operation]
        assert f"this user lacks the right to {verb} it (" in sentence
        assert sentence.endswith(
            "give it with: kafka-acls.sh --add --allow-principal User:drift-worker --operation"
            f" {rule.operation.name.capitalize()} --{kind} {rule.name}"
        )


def test_checks_ask_for_the_right_to_send_unpaired_requests_again(
    tmp_path: Path, config: Callable[..., dict[str, Any]], secured_kafka: SecuredKafka, rights: Rights
) -> None:
    described = config()
    described["monitors"][0]["input"] |= {"format": "pairs", "options": {"unpaired": "run"}}
    loaded = load_config(write_config(tmp_path, described))
    events = rights.topics["events"]

    found = check_kafka(loaded.kafka.properties, topic_uses(loaded), group=True)
    assert [(each.subject, each.sentence) for each in found if each.severity.value == "failed"] == [
        (
            f"topic {events}",
            "this user lacks the right to write to it (monitors[0].input.options.unpaired); give it with:"
            f" kafka-acls.sh --add --allow-principal User:drift-worker --operation Write --topic {events}",
        )
    ]


def test_the_forwarder_does_its_work_with_these_rights_and_check_tells_what_lacks(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_kafka: SecuredKafka,
    detector: TinyDetector,
    rights: Rights,
) -> None:
    def forwards(user: str, receiver: HttpReceiver) -> Config:
        target = {"name": "hook", "type": "webhook", "url": receiver.url}
        forward = {"group": f"{rights.topics['alerts']}-forward", "targets": [target]}
        mine = {**config(), "forward": forward}
        return load_config(write_config(tmp_path / user, mine | {"kafka": scram(secured_kafka, user)}))

    def findings(loaded: Config) -> list[tuple[str, str]]:
        found = check_forwarder(loaded.kafka.properties, alert_uses(loaded), [group])
        return [(each.subject, each.sentence) for each in found if each.severity.value != "ok"]

    group, alerts = f"{rights.topics['alerts']}-forward-hook", rights.topics["alerts"]
    with HttpReceiver() as receiver:
        loaded = forwards("drift-forwarder", receiver)
        assert findings(loaded) == []
        event = built(AlertKind.DETECTED, judged(sequence=1, first_offset=0), monitor="m").value
        publish(secured_kafka.broker.internal_bootstrap, alerts, [event])
        stopping = Event()
        (target,) = loaded.forward.targets if loaded.forward is not None else ()
        properties = for_consumer(loaded.kafka.properties)
        forwarder = Forwarder(target, properties, [alerts], group, frozenset({"m"}), stopping)
        thread = Thread(target=forwarder.run)
        thread.start()
        try:
            wait_until("alert", lambda: receiver.taken)
        finally:
            stopping.set()
            thread.join(30)

        for rule in rights.by_user["drift-forwarder"]:
            secured_kafka.withdraw(rule)
            ((subject, sentence),) = findings(loaded)
            secured_kafka.allow(rule)
            kind = rule.restype.name.lower()
            assert subject == f"{kind} {group if kind == 'group' else alerts}"
            assert sentence.startswith("to forward alerts, ")
            assert "this user lacks the right to" in sentence
            assert f"User:drift-forwarder --operation Read --{kind} " in sentence


def test_checks_ask_for_each_right_in_redis(secured_redis: SecuredRedis) -> None:
    for user, commands in (("drift-worker", WORKER), ("drift-references", REFERENCES)):
        rules = redis_rights()[user]
        section = secured_redis.client(user)
        needed = [rule for rule in rules if rule.startswith("+") and rule != "+client|setname"]
        for rule in needed:
            secured_redis.change(user, rule.replace("+", "-"))
            connection = RedisConnection(**section)
            assert missing_rights(connection, "drift", commands) == [rule]
            connection.close()
            secured_redis.change(user, rule)
        connection = RedisConnection(**section)
        assert missing_rights(connection, "drift", commands) == []
        assert missing_rights(connection, "another", commands) == ["~another:*"]
        connection.close()
        assert secured_redis.admin.keys() == []


def test_a_missing_right_in_redis_is_told_with_the_command_that_gives_it(
    tmp_path: Path, config: Callable[..., dict[str, Any]], secured_redis: SecuredRedis
) -> None:
    path = write_config(tmp_path, config())
    for rule in ("+zadd", "+client|setname"):
        secured_redis.change("drift-worker", rule.replace("+", "-"))
        result = run("check", "-c", path)
        secured_redis.change("drift-worker", rule)
        assert result.exit_code == 2
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("failed")]
        address = secured_redis.url
        assert line.removesuffix(".") == (
            f"failed  Redis: The user 'drift-worker' of Redis at {address} lacks the right {rule}; give it"
            f" with: ACL SETUSER drift-worker {rule}"
        )


def test_the_other_roles_do_their_work_with_these_rights(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
    detector: TinyDetector,
    rights: Rights,
) -> None:
    def config_of(user: str) -> Path:
        mine = config()
        mine["kafka"] |= scram(secured_kafka, user)
        mine["redis"] = secured_redis.client(user)
        return write_config(tmp_path / user, mine)

    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(detector.harmful(40, seed=3).values))
    sent = run("send", "-c", config_of("drift-sender"), events)
    assert sent.exit_code == 0, sent.output
    with WorkerThread(tmp_path / "worker", config()):
        consume(secured_kafka.broker.internal_bootstrap, rights.topics["alerts"], 1)
    followed = run(
        "alerts",
        "-c",
        config_of("drift-subscriber"),
        "--from-beginning",
        "--max",
        1,
        "--timeout",
        30,
        "--json",
    )
    assert followed.exit_code == 0, followed.output

    manager = config_of("drift-references")
    secured_redis.admin.config_resetstat()
    for command in (["push", "--promote"], ["list"], ["rollback"]):
        name, *options = command
        result = run("reference", name, "-c", manager, *options)
        assert "right" not in result.output, result.output
    assert role_uses(secured_redis, "drift-references") == set()


def role_uses(redis: SecuredRedis, user: str) -> set[str]:
    """Return the rights of a role that were not used since the statistics began."""
    documented = {rule.removeprefix("+") for rule in redis_rights()[user] if rule.startswith("+")}
    return documented - redis.commands_run()


def test_the_dashboard_reads_with_its_rights(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
    detector: TinyDetector,
    rights: Rights,
) -> None:
    from monitor.dashboard.views import Views

    publish(
        secured_kafka.broker.internal_bootstrap, rights.topics["events"], detector.calm(50, seed=1).values
    )
    with WorkerThread(tmp_path, config()) as worker:
        worker.wait_for("settlement", lambda: secured_redis.admin.exists("drift:{m}:last:all"))
    secured_redis.admin.config_resetstat()
    loaded = load_config(write_config(tmp_path / "dashboard", config()))
    connection = RedisConnection(**secured_redis.client("drift-dashboard"))
    views = Views(loaded, connection)
    assert views.overview()
    assert views.segment("m", "all")
    assert role_uses(secured_redis, "drift-dashboard") == set()
    with (
        pytest.raises(
            RedisError, match=r"'drift-dashboard' .* lacks the right \+set; give it with: ACL SETUSER"
        ),
        connection.client() as client,
    ):
        client.set("drift:x", "1")
    connection.close()


def test_a_right_taken_away_at_work_ends_the_worker_with_a_sentence(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
    detector: TinyDetector,
    rights: Rights,
) -> None:
    inside, topics = secured_kafka.broker.internal_bootstrap, rights.topics

    def working() -> WorkerThread:
        worker = WorkerThread(tmp_path, config()).start()
        worker.wait_for("start", lambda: secured_redis.admin.exists("drift:{m}:progress"))
        return worker

    publish(inside, topics["events"], detector.calm(10, seed=1).values)
    worker = working()
    secured_redis.change("drift-worker", "-evalsha")
    publish(inside, topics["events"], detector.calm(10, seed=2).values)
    with pytest.raises(RedisError, match=r"lacks the right \+evalsha; give it with: ACL SETUSER"):
        worker.join(20)
    secured_redis.change("drift-worker", "+evalsha")

    for rule in rights.by_user["drift-worker"]:
        if rule.name == topics["events"] and rule.restype.name == "TOPIC":
            read = rule
    worker = working()
    secured_kafka.withdraw(read)
    with pytest.raises(KafkaError, match=r"The Kafka user lacks a right.*; grant READ on the topic"):
        worker.join(20)


def test_passwords_changed_at_work_are_waited_for(
    tmp_path: Path,
    config: Callable[..., dict[str, Any]],
    secured_kafka: SecuredKafka,
    secured_redis: SecuredRedis,
    detector: TinyDetector,
    rights: Rights,
    caplog: pytest.LogCaptureFixture,
) -> None:
    inside, topics = secured_kafka.broker.internal_bootstrap, rights.topics
    rotating = config("scram-without-tls")
    rotating["kafka"]["bootstrap.servers"] = secured_kafka.broker.address("IMPATIENT")

    def told(words: str) -> bool:
        return any(words in record.getMessage() for record in caplog.records)

    def verdicts() -> int:
        return secured_redis.admin.llen("drift:{m}:verdicts:all")

    with WorkerThread(tmp_path, rotating) as worker:
        publish(inside, topics["events"], detector.calm(40, seed=1).values)
        worker.wait_for("verdict", lambda: verdicts() == 1)

        secured_kafka.scram("drift-worker", "another-password")
        worker.wait_for("refusal by Kafka", lambda: told("Kafka refused the login: "))
        publish(inside, topics["events"], detector.calm(40, seed=2).values)
        secured_kafka.scram("drift-worker")
        worker.wait_for("verdict after Kafka", lambda: verdicts() == 2)

        secured_redis.change("drift-worker", "resetpass", ">another-password")
        secured_redis.admin.client_kill_filter(user="drift-worker")
        worker.wait_for("refusal by Redis", lambda: told("refused the user name or password"))
        publish(inside, topics["events"], detector.calm(40, seed=3).values)
        secured_redis.change("drift-worker", "resetpass", f">{PASSWORD}")
        worker.wait_for("verdict after Redis", lambda: verdicts() == 3)
