"""Checks of Kafka before work begins: reachable, secured as configured, topics there, permissions granted."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicCollection
from confluent_kafka import KafkaError as ClientError
from confluent_kafka.admin import AclOperation, AdminClient, NewTopic

from monitor.checks.findings import Finding, Severity, failed, ok, warning
from monitor.checks.kafka_faults import Faults
from monitor.config import Config, MonitorConfig
from monitor.config.kafka_properties import check_kafka_properties, for_consumer, for_producer
from monitor.errors import ConfigError

ANSWER_SECONDS = 5.0
"""How long a broker has to answer one question."""
FIRST_ATTEMPT_SECONDS, ATTEMPT_SECONDS = 0.3, 1.0
"""After each of these it is looked whether waiting is any use: a refused login will not mend."""

_SILENT = logging.Logger("kafka-checks", logging.CRITICAL + 1)


@dataclass(frozen=True)
class TopicUse:
    """A topic of the config.

    Attributes
    ----------
    topic
        Its name.
    keys
        Places that name it: keys of the config, or an option such as ``--topic``.
    operation
        What the worker does to it: READ or WRITE.
    compacted
        Whether only the latest record of each key is to be kept.
    """

    topic: str
    keys: tuple[str, ...]
    operation: AclOperation
    compacted: bool = False

    @property
    def subject(self) -> str:
        """What a finding about it is called."""
        return f"topic {self.topic}"

    @property
    def where(self) -> str:
        """The places in the config, for a sentence."""
        return ", ".join(self.keys)

    @property
    def remedy(self) -> str:
        """What to do when it does not exist, for a sentence; ``check`` makes those of the config."""
        if any(key.startswith("--") for key in self.keys):
            return "create it, or name one that does."
        return "create it, or run 'drift-monitor check --create-topics'."


def topic_uses(config: Config) -> list[TopicUse]:
    """List the topics of a config: inputs, alerts, dead letters and the state topic, each once."""
    keys: dict[tuple[str, AclOperation], list[str]] = {}
    for index, monitor in enumerate(config.monitors):
        for section, operation in _SECTIONS.items():
            part = getattr(monitor, section)
            if part is None:
                continue
            topic: str = part.topic
            keys.setdefault((topic, operation), []).append(f"monitors[{index}].{section}.topic")
        if monitor.input.runs_unpaired:
            unpaired = (monitor.input.topic, AclOperation.WRITE)
            keys.setdefault(unpaired, []).append(f"monitors[{index}].input.options.unpaired")
    uses = [TopicUse(topic, tuple(names), operation) for (topic, operation), names in keys.items()]
    if config.state is not None:
        where = ("state.topic",)
        uses += [
            TopicUse(config.state.topic, where, o, True) for o in (AclOperation.WRITE, AclOperation.READ)
        ]
    return uses


def input_use(config: Config, monitor: MonitorConfig, operation: AclOperation) -> TopicUse:
    """Describe a monitor's input topic, used in another way than the worker does."""
    index = config.monitors.index(monitor)
    return TopicUse(monitor.input.topic, (f"monitors[{index}].input.topic",), operation)


def alert_uses(config: Config) -> list[TopicUse]:
    """List the alert topics of a config, as they are used by who forwards alerts."""
    return [
        replace(use, operation=AclOperation.READ)
        for use in topic_uses(config)
        if any(key.endswith(".alerts.topic") for key in use.keys)
    ]


def check_forwarder(
    properties: Mapping[str, Any], uses: Sequence[TopicUse], groups: Sequence[str]
) -> Iterator[Finding]:
    """Check what forwarding alerts takes; a worker can do without, so that what is lacking is a warning.

    Parameters
    ----------
    properties
        librdkafka properties of the config, which are right.
    uses
        Alert topics.
    groups
        Consumer groups of the receivers.
    """
    cluster = _Cluster(properties)
    try:
        # What is wrong with the connection was told when all that a worker needs was looked at.
        if cluster.connect(uses[0].topic) is not None:
            return
        found = [cluster.check_group(group, "forward") for group in groups]
        told = [cluster.check_topic(use, create=False, permissions=None not in found) for use in uses]
        for finding in [*told, *found]:
            if finding is not None and finding.severity is Severity.FAILED:
                yield warning(finding.subject, f"to forward alerts, {finding.sentence}")
            elif finding is not None:
                yield finding
    finally:
        cluster.close()


def check_kafka(
    properties: Mapping[str, Any],
    uses: Sequence[TopicUse],
    *,
    group: bool = False,
    create_topics: bool = False,
) -> Iterator[Finding]:
    """Check the connection and, when there is one, each topic and what may be done with it.

    Parameters
    ----------
    properties
        librdkafka properties of the config.
    uses
        Topics.
    group
        Whether the consumer group must be usable too.
    create_topics
        Whether to create topics that are missing, with the broker's default number of partitions.
    """
    try:
        check_kafka_properties(properties)
    except ConfigError as error:
        yield from (failed("Kafka", line) for line in str(error).splitlines())
        return
    cluster = _Cluster(properties)
    try:
        fault = cluster.connect(uses[0].topic)
        if fault is not None:
            yield failed("Kafka", fault)
            return
        yield ok("Kafka", f"{cluster.where} answers")
        in_group = cluster.check_group(str(properties.get("group.id", "drift-monitor")))
        for use in uses:
            yield cluster.check_topic(use, create=create_topics, permissions=in_group is not None)
        if group and in_group is not None:
            yield in_group
    finally:
        cluster.close()


_SECTIONS = {
    "input": AclOperation.READ,
    "alerts": AclOperation.WRITE,
    "dead_letters": AclOperation.WRITE,
    "scores": AclOperation.WRITE,
}
_VERBS = {AclOperation.READ: "read", AclOperation.WRITE: "write to"}


class _Cluster:
    """Clients of one cluster, and the reasons that librdkafka gives for what goes wrong."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self.where = properties.get("bootstrap.servers") or properties.get("metadata.broker.list")
        self._user = properties.get("sasl.username") or "NAME"
        self._faults = Faults(properties)
        # A consumer's questions about a topic do not bring it into being, as a producer's may.
        self._consumer = Consumer(
            {
                **for_consumer(properties),
                "group.id": properties.get("group.id", "drift-monitor"),
                "error_cb": self._faults.note,
                "logger": _SILENT,
            }
        )
        self._admin = AdminClient({**for_producer(properties), "logger": _SILENT})

    def close(self) -> None:
        self._consumer.close()

    def connect(self, topic: str) -> str | None:
        """Ask for metadata; return what is wrong when there is no answer."""
        deadline = time.monotonic() + ANSWER_SECONDS
        patience = FIRST_ATTEMPT_SECONDS
        while True:
            try:
                self._consumer.list_topics(topic, timeout=patience)
            except KafkaException:
                patience = ATTEMPT_SECONDS
                # Serves the callback that collects the reasons.
                self._consumer.poll(0.2)
            else:
                return None
            if self._faults.hopeless or time.monotonic() > deadline:
                return self._faults.sentence(ANSWER_SECONDS)

    def check_topic(self, use: TopicUse, *, create: bool, permissions: bool) -> Finding:
        """Look whether a topic is there and, if the cluster tells permissions, whether it may be used."""
        try:
            metadata = self._consumer.list_topics(use.topic, timeout=ANSWER_SECONDS).topics[use.topic]
        except KafkaException as error:
            return failed(use.subject, f"{use.where}: Kafka does not describe it: {error.args[0].str()}.")
        code = None if metadata.error is None else metadata.error.code()
        if code == ClientError.UNKNOWN_TOPIC_OR_PART:
            if create:
                return self._create(use)
            return failed(
                use.subject,
                f"does not exist ({use.where}); {use.remedy}",
            )
        if code == ClientError.TOPIC_AUTHORIZATION_FAILED:
            return failed(use.subject, f"if it exists, {self._lacks(use)}")
        if metadata.error is not None:
            return failed(use.subject, f"cannot be used ({use.where}): {metadata.error.str()}.")
        n_partitions = len(metadata.partitions)
        found = f"{n_partitions} partition{'' if n_partitions == 1 else 's'}"
        return self._check_permission(use, found) if permissions else ok(use.subject, found)

    def check_group(self, group: str, key: str = "kafka.group.id") -> Finding | None:
        """Look whether the consumer group may be joined; None when the cluster does not tell permissions."""
        subject = f"group {group}"
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            asked = self._admin.describe_consumer_groups(
                [group], request_timeout=ANSWER_SECONDS, include_authorized_operations=True
            )
            try:
                operations = asked[group].result().authorized_operations
            except KafkaException as error:
                reason = error.args[0]
                # Brokers before 2.3, and librdkafka's mock cluster.
                if reason.code() == ClientError._UNSUPPORTED_FEATURE:
                    return None
                if reason.code() == ClientError.GROUP_AUTHORIZATION_FAILED:
                    return failed(subject, self._lacks_group(group, key))
                # The first group of a new cluster finds its coordinator still loading.
                if reason.code() not in _PASSING or time.monotonic() > deadline:
                    return warning(subject, f"could not be checked: {reason.str()}.")
                self._consumer.poll(0.2)
                continue
            if operations is not None and AclOperation.READ not in operations:
                return failed(subject, self._lacks_group(group, key))
            return ok(subject, "may be joined")

    def _check_permission(self, use: TopicUse, found: str) -> Finding:
        asked = self._admin.describe_topics(
            TopicCollection([use.topic]), request_timeout=ANSWER_SECONDS, include_authorized_operations=True
        )
        try:
            operations = asked[use.topic].result().authorized_operations
        except KafkaException as error:
            return warning(use.subject, f"{found}; permissions could not be checked: {error.args[0].str()}.")
        if operations is not None and use.operation not in operations:
            return failed(use.subject, self._lacks(use))
        return ok(use.subject, f"{found}, permission to {_VERBS[use.operation]} it")

    def _lacks(self, use: TopicUse) -> str:
        return (
            f"this user lacks the right to {_VERBS[use.operation]} it ({use.where}); give it with:"
            f" {self._grant(use.operation, '--topic', use.topic)}"
        )

    def _lacks_group(self, group: str, key: str) -> str:
        grant = self._grant(AclOperation.READ, "--group", group)
        return f"this user lacks the right to join it ({key}); give it with: {grant}"

    def _grant(self, operation: AclOperation, kind: str, name: str) -> str:
        verb = operation.name.capitalize()
        return f"kafka-acls.sh --add --allow-principal User:{self._user} --operation {verb} {kind} {name}"

    def _create(self, use: TopicUse) -> Finding:
        created = self._admin.create_topics(
            [NewTopic(use.topic, config={"cleanup.policy": "compact"} if use.compacted else {})],
            request_timeout=ANSWER_SECONDS,
        )
        try:
            created[use.topic].result()
        except KafkaException as error:
            if error.args[0].code() == ClientError.TOPIC_ALREADY_EXISTS:
                # It was created a moment ago: for another use of it, or by another program.
                return ok(use.subject, "exists")
            return failed(use.subject, f"could not be created ({use.where}): {error.args[0].str()}.")
        return ok(use.subject, "created")


_PASSING = frozenset(
    {
        ClientError.COORDINATOR_LOAD_IN_PROGRESS,
        ClientError.COORDINATOR_NOT_AVAILABLE,
        ClientError.NOT_COORDINATOR,
    }
)
