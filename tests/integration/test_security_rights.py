"""The rights that the docs list are enough for each role, none is too many, and a missing one is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
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
from tests.traffic import Events, TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config, wait_until, write_config

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

PLACES = {
    "events": "inference-events",
    "alerts": "drift-alerts",
    "rejected": "inference-events-rejected",
    "state": "drift-monitor-state",
}
"""Topics by what a config uses them for, as the docs name them."""


@dataclass(frozen=True)
class Site:
    """The secured servers, with topics of one test and the rights of the docs on them.

    Attributes
    ----------
    topics
        By what a config uses them for.
    rights
        By user; nobody has any others.
    """

    kafka: SecuredKafka
    redis: SecuredRedis
    detector: TinyDetector
    topics: dict[str, str]
    rights: dict[str, list[AclBinding]]

    @property
    def inside(self) -> str:
        """Address of the brokers where everybody may do everything."""
        return self.kafka.broker.internal_bootstrap

    def send(self, events: Events) -> None:
        """Publish events to the input topic."""
        publish(self.inside, self.topics["events"], events.values)

    def config(self, way: str = "scram") -> dict[str, Any]:
        """Return a config of the worker's user, by way of login."""
        properties = self._login(way)
        return monitor_config(
            properties["bootstrap.servers"],
            self.redis.url,
            self.detector.path,
            self.topics,
            kafka=properties,
            redis=self.redis.client(),
            window={"size": 40},
        )

    def scram(self, user: str) -> dict[str, Any]:
        """Return properties of a client of some user."""
        return self.kafka.client(user, sasl_mechanism="SCRAM-SHA-512")

    def _login(self, way: str) -> dict[str, Any]:
        """Return properties of the worker's user, who may log in in four ways."""
        if way == "certificate":
            shown = self.kafka.authority.issue(name="drift-worker", passphrase=PASSWORD)
            return self.kafka.client_with(shown) | {"ssl.key.password": PASSWORD}
        if way == "plain":
            return self.kafka.client("drift-worker")
        if way == "scram":
            return self.scram("drift-worker")
        return self.kafka.client(
            "drift-worker",
            sasl_mechanism="SCRAM-SHA-256",
            security_protocol="SASL_PLAINTEXT",
            bootstrap_servers=self.kafka.broker.address("UNCIPHERED"),
        )

    def committed(self) -> int:
        """Return the highest offset that the worker's group has committed."""
        group = self.topics["events"]
        asked = self.kafka.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        return max((found.offset for found in asked[group].result().topic_partitions), default=-1)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def site(secured_kafka: SecuredKafka, secured_redis: SecuredRedis, detector: TinyDetector) -> Iterator[Site]:
    unique = uuid4().hex[:8]
    topics = {use: f"{name}-{unique}" for use, name in PLACES.items()}
    secured_kafka.create_topics(*topics.values())
    names = {name: topics[use] for use, name in PLACES.items()}
    names |= {"drift-monitor": topics["events"], "drift-monitor-forward-": f"{topics['alerts']}-forward-"}
    rights = kafka_rights(names)
    given = [rule for rules in rights.values() for rule in rules]
    secured_kafka.allow(*given)
    for user in rights:
        secured_kafka.scram(user)
    yield Site(secured_kafka, secured_redis, detector, topics, rights)
    secured_kafka.withdraw(*given)


@pytest.mark.parametrize("way", ["plain", "scram", "scram-without-tls", "certificate"])
def test_a_worker_does_all_its_work_with_these_rights_and_uses_each(
    way: str, tmp_path: Path, site: Site
) -> None:
    site.redis.admin.config_resetstat()
    with WorkerThread(tmp_path, site.config(way)) as worker:
        publish(site.inside, site.topics["events"], [b"no event", *site.detector.calm(30, seed=1).values])
        site.send(site.detector.harmful(70, seed=2))
        (alert,) = consume(site.inside, site.topics["alerts"], 1)
        (letter,) = consume(site.inside, site.topics["rejected"], 1)
        consume(site.inside, site.topics["state"], 1)
        worker.wait_for("settlement", lambda: site.redis.admin.llen("drift:{m}:verdicts:all") == 2)
        worker.wait_for("commit", lambda: site.committed() == 101)
    assert b"drift.detected" in alert.value()
    assert letter.value() == b"no event"

    documented = {rule.removeprefix("+") for rule in redis_rights()["drift-worker"] if rule.startswith("+")}
    used = site.redis.commands_run() - {"auth", "hello", "config|resetstat", "info", "llen"}
    # Keys are deleted only by 'drift-monitor check', which cleans up behind itself.
    assert used | {"del"} == documented
    refused = [entry for entry in site.redis.admin.acl_log() if entry["object"] != "client|setinfo"]
    assert refused == []


def test_a_worker_starts_anew_from_the_state_topic_with_these_rights(tmp_path: Path, site: Site) -> None:
    def settled() -> bool:
        return site.redis.admin.hget("drift:{m}:alerts", "all") is not None

    site.send(site.detector.calm(40, seed=1))
    with WorkerThread(tmp_path, site.config()) as worker:
        worker.wait_for("settlement", settled)
        site.redis.admin.flushdb()
        worker.wait_for("recovery", settled)


def test_checks_ask_for_each_right_of_the_worker_in_kafka(tmp_path: Path, site: Site) -> None:
    loaded = load_config(write_config(tmp_path, site.config()))

    def failed() -> list[tuple[str, str]]:
        found = check_kafka(loaded.kafka.properties, topic_uses(loaded), group=True)
        return [(each.subject, each.sentence) for each in found if each.severity.value == "failed"]

    assert failed() == []
    verbs = {AclOperation.READ: "read", AclOperation.WRITE: "write to"}
    for rule in site.rights["drift-worker"]:
        site.kafka.withdraw(rule)
        ((subject, sentence),) = failed()
        site.kafka.allow(rule)
        kind = rule.restype.name.lower()
        assert subject == f"{kind} {rule.name}"
        verb = "join" if kind == "group" else verbs[rule.operation]
        assert f"this user lacks the right to {verb} it (" in sentence
        assert sentence.endswith(
            "give it with: kafka-acls.sh --add --allow-principal User:drift-worker --operation"
            f" {rule.operation.name.capitalize()} --{kind} {rule.name}"
        )


def test_checks_ask_for_the_right_to_send_unpaired_requests_again(tmp_path: Path, site: Site) -> None:
    described = site.config()
    described["monitors"][0]["input"] |= {"format": "pairs", "options": {"unpaired": "run"}}
    loaded = load_config(write_config(tmp_path, described))
    events = site.topics["events"]

    found = check_kafka(loaded.kafka.properties, topic_uses(loaded), group=True)
    assert [(each.subject, each.sentence) for each in found if each.severity.value == "failed"] == [
        (
            f"topic {events}",
            "this user lacks the right to write to it (monitors[0].input.options.unpaired); give it with:"
            f" kafka-acls.sh --add --allow-principal User:drift-worker --operation Write --topic {events}",
        )
    ]


def test_the_forwarder_does_its_work_with_these_rights_and_check_tells_what_lacks(
    tmp_path: Path, site: Site
) -> None:
    def forwards(user: str, receiver: HttpReceiver) -> Config:
        target = {"name": "hook", "type": "webhook", "url": receiver.url}
        forward = {"group": f"{site.topics['alerts']}-forward", "targets": [target]}
        mine = {**site.config(), "forward": forward}
        return load_config(write_config(tmp_path / user, mine | {"kafka": site.scram(user)}))

    def findings(loaded: Config) -> list[tuple[str, str]]:
        found = check_forwarder(loaded.kafka.properties, alert_uses(loaded), [group])
        return [(each.subject, each.sentence) for each in found if each.severity.value != "ok"]

    group, alerts = f"{site.topics['alerts']}-forward-hook", site.topics["alerts"]
    with HttpReceiver() as receiver:
        loaded = forwards("drift-forwarder", receiver)
        assert findings(loaded) == []
        event = built(AlertKind.DETECTED, judged(sequence=1, first_offset=0), monitor="m").value
        publish(site.inside, alerts, [event])
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

        for rule in site.rights["drift-forwarder"]:
            site.kafka.withdraw(rule)
            ((subject, sentence),) = findings(loaded)
            site.kafka.allow(rule)
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


def test_a_missing_right_in_redis_is_told_with_the_command_that_gives_it(tmp_path: Path, site: Site) -> None:
    path = write_config(tmp_path, site.config())
    for rule in ("+zadd", "+client|setname"):
        site.redis.change("drift-worker", rule.replace("+", "-"))
        result = run("check", "-c", path)
        site.redis.change("drift-worker", rule)
        assert result.exit_code == 2
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("failed")]
        address = site.redis.url
        assert line.removesuffix(".") == (
            f"failed  Redis: The user 'drift-worker' of Redis at {address} lacks the right {rule}; give it"
            f" with: ACL SETUSER drift-worker {rule}"
        )


def test_the_other_roles_do_their_work_with_these_rights(tmp_path: Path, site: Site) -> None:
    def config_of(user: str) -> Path:
        mine = site.config()
        mine["kafka"] |= site.scram(user)
        mine["redis"] = site.redis.client(user)
        return write_config(tmp_path / user, mine)

    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(site.detector.harmful(40, seed=3).values))
    sent = run("send", "-c", config_of("drift-sender"), events)
    assert sent.exit_code == 0, sent.output
    with WorkerThread(tmp_path / "worker", site.config()):
        consume(site.inside, site.topics["alerts"], 1)
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
    site.redis.admin.config_resetstat()
    for command in (["push", "--promote"], ["list"], ["rollback"]):
        name, *options = command
        result = run("reference", name, "-c", manager, *options)
        assert "right" not in result.output, result.output
    assert role_uses(site.redis, "drift-references") == set()


def role_uses(redis: SecuredRedis, user: str) -> set[str]:
    """Return the rights of a role that were not used since the statistics began."""
    documented = {rule.removeprefix("+") for rule in redis_rights()[user] if rule.startswith("+")}
    return documented - redis.commands_run()


def test_the_dashboard_reads_with_its_rights(tmp_path: Path, site: Site) -> None:
    from monitor.dashboard.views import Views

    site.send(site.detector.calm(50, seed=1))
    with WorkerThread(tmp_path, site.config()) as worker:
        worker.wait_for("settlement", lambda: site.redis.admin.exists("drift:{m}:last:all"))
    site.redis.admin.config_resetstat()
    loaded = load_config(write_config(tmp_path / "dashboard", site.config()))
    connection = RedisConnection(**site.redis.client("drift-dashboard"))
    views = Views(loaded, connection)
    assert views.overview()
    assert views.segment("m", "all")
    assert role_uses(site.redis, "drift-dashboard") == set()
    with (
        pytest.raises(
            RedisError, match=r"'drift-dashboard' .* lacks the right \+set; give it with: ACL SETUSER"
        ),
        connection.client() as client,
    ):
        client.set("drift:x", "1")
    connection.close()


def test_a_right_taken_away_at_work_ends_the_worker_with_a_sentence(tmp_path: Path, site: Site) -> None:
    def working() -> WorkerThread:
        worker = WorkerThread(tmp_path, site.config()).start()
        worker.wait_for("start", lambda: site.redis.admin.exists("drift:{m}:progress"))
        return worker

    site.send(site.detector.calm(10, seed=1))
    worker = working()
    site.redis.change("drift-worker", "-evalsha")
    site.send(site.detector.calm(10, seed=2))
    with pytest.raises(RedisError, match=r"lacks the right \+evalsha; give it with: ACL SETUSER"):
        worker.join(20)
    site.redis.change("drift-worker", "+evalsha")

    for rule in site.rights["drift-worker"]:
        if rule.name == site.topics["events"] and rule.restype.name == "TOPIC":
            read = rule
    worker = working()
    site.kafka.withdraw(read)
    with pytest.raises(KafkaError, match=r"The Kafka user lacks a right.*; grant READ on the topic"):
        worker.join(20)


def test_passwords_changed_at_work_are_waited_for(
    tmp_path: Path, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    rotating = site.config("scram-without-tls")
    rotating["kafka"]["bootstrap.servers"] = site.kafka.broker.address("IMPATIENT")

    def told(words: str) -> bool:
        return any(words in record.getMessage() for record in caplog.records)

    def verdicts() -> int:
        return site.redis.admin.llen("drift:{m}:verdicts:all")

    with WorkerThread(tmp_path, rotating) as worker:
        site.send(site.detector.calm(40, seed=1))
        worker.wait_for("verdict", lambda: verdicts() == 1)

        site.kafka.scram("drift-worker", "another-password")
        worker.wait_for("refusal by Kafka", lambda: told("Kafka refused the login: "))
        site.send(site.detector.calm(40, seed=2))
        site.kafka.scram("drift-worker")
        worker.wait_for("verdict after Kafka", lambda: verdicts() == 2)

        site.redis.change("drift-worker", "resetpass", ">another-password")
        site.redis.admin.client_kill_filter(user="drift-worker")
        worker.wait_for("refusal by Redis", lambda: told("refused the user name or password"))
        site.send(site.detector.calm(40, seed=3))
        site.redis.change("drift-worker", "resetpass", f">{PASSWORD}")
        worker.wait_for("verdict after Redis", lambda: verdicts() == 3)
