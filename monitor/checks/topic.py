"""The one topic that a subcommand uses in place of the worker, checked before the work."""

from __future__ import annotations

from confluent_kafka.admin import AclOperation

from monitor.checks.findings import require
from monitor.checks.kafka import TopicUse, check_kafka, input_use
from monitor.config import Config, MonitorConfig


def require_topic(config: Config, monitor: MonitorConfig, named: str | None, operation: AclOperation) -> str:
    """Return the topic that is meant, once Kafka has shown that it can be used.

    Parameters
    ----------
    config, monitor
        Where Kafka is, and whose input topic is meant when none is named.
    named
        What ``--topic`` says.
    operation
        What is going to be done with it.

    Raises
    ------
    SetupError
        If Kafka does not answer, the topic is not there, or its use is not allowed.
    """
    use = input_use(config, monitor, operation)
    if named is not None and named != use.topic:
        use = TopicUse(named, ("--topic",), operation)
    require(check_kafka(config.kafka.properties, [use]))
    return use.topic
