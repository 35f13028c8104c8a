"""A deployment for a while: topics, a consumer group and Redis keys of its own, which vanish afterwards."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from monitor.config import Config, MonitorConfig
from monitor.config.connections import KafkaConfig
from monitor.config.kafka_properties import for_producer
from monitor.errors import SetupError
from streams.kafka.client_log import client_log
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys

log = logging.getLogger(__name__)

NAME = "drift-monitor-bench"
"""What all topics and groups begin with, for permissions and for whoever finds one."""
ANSWER_SECONDS = 30.0
GROUP_SECONDS = 10.0
"""How long a group may take to notice that its last member has left."""
KEYS_AT_A_TIME = 500


@dataclass(frozen=True)
class Deployment:
    """Names that are this benchmark's alone.

    Attributes
    ----------
    name
        What topics, groups and, after the config's own prefix, Redis keys begin with.
    config
        The user's config, whose monitors are those to be measured, on the temporary topics.
    """

    name: str
    config: Config

    @property
    def events_topic(self) -> str:
        """Topic of the inference events."""
        return f"{self.name}-events"

    @property
    def alerts_topic(self) -> str:
        """Topic of all monitors' alerts."""
        return f"{self.name}-alerts"

    def for_run(self, label: str, **changes: Any) -> Config:
        """Config of one run, which knows nothing of the others and reads the topic from its start.

        Parameters
        ----------
        label
            Name of the run.
        changes
            What its monitors have otherwise than those of the config.
        """
        kafka = {
            **self.config.kafka.properties,
            "group.id": f"{self.name}-{label}",
            "auto.offset.reset": "earliest",
        }
        monitors = tuple(
            monitor.model_copy(update={**changes, "name": f"{label}-{monitor.name}"})
            for monitor in self.config.monitors
        )
        return self.config.model_copy(
            update={"kafka": KafkaConfig.model_validate(kafka), "monitors": monitors}
        )


@contextmanager
def temporary_deployment(
    config: Config, monitors: Sequence[MonitorConfig], partitions: int
) -> Iterator[Deployment]:
    """Create the topics, lend them, and remove all that was left behind, however the block ends.

    Parameters
    ----------
    config
        The user's config.
    monitors
        Those of its monitors that are to be measured; all read one topic.
    partitions
        Partitions of the topic of events.

    Raises
    ------
    SetupError
        If the topics cannot be created.
    """
    deployment = _renamed(config, monitors)
    admin = AdminClient({**for_producer(config.kafka.properties), "logger": client_log})
    topics = [NewTopic(deployment.events_topic, partitions)]
    topics += [NewTopic(f"{deployment.name}-{rest}", 1) for rest in ("alerts", "rejected")]
    if config.state is not None:
        topics.append(NewTopic(f"{deployment.name}-state", 1, config={"cleanup.policy": "compact"}))
    try:
        for topic, created in admin.create_topics(topics, request_timeout=ANSWER_SECONDS).items():
            try:
                created.result()
            except KafkaException as error:
                raise SetupError(
                    f"Topic {topic} could not be created: {error.args[0].str()}. The benchmark needs the"
                    f" permission to create and delete topics that begin with {NAME}."
                ) from error
        yield deployment
    finally:
        _remove_topics(admin, [topic.topic for topic in topics])
        _remove_groups(admin, deployment.name)
        _remove_keys(deployment.config)


class CountedOffsets:
    """How far a run's monitors have counted the topic of events, as Redis says.

    Parameters
    ----------
    config
        Config of the run.
    """

    def __init__(self, config: Config) -> None:
        self._redis = RedisConnection(**config.redis.connection_options())
        # All monitors of a topic are counted by the same round trip.
        self._progress = MonitorKeys(config.redis.prefix, config.monitors[-1].name).progress

    def read(self) -> dict[int, int]:
        """Return the next offset that is not counted, by partition."""
        with self._redis.client() as client:
            stored: dict[Any, Any] = client.hgetall(self._progress)
        return {int(number): int(offset) for number, offset in stored.items() if number != b"epoch"}

    def total(self) -> int:
        """Return the number of events counted, in a topic whose first offset is 0."""
        return sum(self.read().values())

    def close(self) -> None:
        """Give the connection back."""
        self._redis.close()


def _renamed(config: Config, monitors: Sequence[MonitorConfig]) -> Deployment:
    name = f"{NAME}-{secrets.token_hex(4)}"

    def moved(monitor: MonitorConfig) -> MonitorConfig:
        places = {"input": "events", "alerts": "alerts", "dead_letters": "rejected"}
        return monitor.model_copy(
            update={
                section: getattr(monitor, section).model_copy(update={"topic": f"{name}-{rest}"})
                for section, rest in places.items()
            }
        )

    changes: dict[str, Any] = {
        "monitors": tuple(moved(monitor) for monitor in monitors),
        # Below the user's own prefix, where a Redis user who may write at all may write.
        # The deployed worker may hold its port.
        "worker": config.worker.model_copy(update={"http": None}),
        "redis": config.redis.model_copy(update={"prefix": f"{config.redis.prefix}:{name}"}),
    }
    if config.state is not None:
        changes["state"] = config.state.model_copy(update={"topic": f"{name}-state"})
    return Deployment(name, config.model_copy(update=changes))


def _remove_topics(admin: AdminClient, topics: list[str]) -> None:
    for topic, deleted in admin.delete_topics(topics, operation_timeout=ANSWER_SECONDS).items():
        try:
            deleted.result()
        except KafkaException as error:
            if error.args[0].code() != ClientError.UNKNOWN_TOPIC_OR_PART:
                log.warning("Topic %s could not be deleted: %s.", topic, error.args[0].str())


def _remove_groups(admin: AdminClient, name: str) -> None:
    try:
        found = admin.list_consumer_groups(request_timeout=ANSWER_SECONDS).result().valid
        groups = [group.group_id for group in found if group.group_id.startswith(name)]
    except KafkaException as error:
        log.warning("The groups of the benchmark could not be listed: %s.", error.args[0].str())
        return
    deadline = time.monotonic() + GROUP_SECONDS
    while groups:
        left = []
        for group, deleted in admin.delete_consumer_groups(groups).items():
            try:
                deleted.result()
            except KafkaException as error:
                code = error.args[0].code()
                if code == ClientError.NON_EMPTY_GROUP and time.monotonic() < deadline:
                    left.append(group)
                elif code not in (ClientError.GROUP_ID_NOT_FOUND, ClientError._UNSUPPORTED_FEATURE):
                    log.warning("Group %s could not be deleted: %s.", group, error.args[0].str())
        groups = left
        if groups:
            time.sleep(0.2)


def _remove_keys(config: Config) -> None:
    connection = RedisConnection(**config.redis.connection_options())
    with connection.client() as client:
        batch: list[Any] = []
        for key in client.scan_iter(match=f"{config.redis.prefix}*", count=KEYS_AT_A_TIME):
            batch.append(key)
            if len(batch) == KEYS_AT_A_TIME:
                client.unlink(*batch)
                batch.clear()
        if batch:
            client.unlink(*batch)
    connection.close()
