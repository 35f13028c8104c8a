"""Events of the past out of a range of their topic."""

from __future__ import annotations

from itertools import islice

from confluent_kafka.admin import AclOperation

from monitor.backtest.recorded import RecordedEvents
from monitor.checks.topic import require_topic
from monitor.config import Config, MonitorConfig
from monitor.config.kafka_properties import for_consumer
from monitor.errors import SetupError
from streams.codecs.event_time import parse_times_ms
from streams.kafka.topic_range import Place, TopicRange


def events_of_topic(
    config: Config,
    monitor: MonitorConfig,
    named: str | None,
    begin: str | None,
    end: str | None,
    limit: int | None = None,
) -> RecordedEvents:
    """Take the records of a topic from one place up to another; partitions are merged by timestamp.

    Parameters
    ----------
    config, monitor
        Where Kafka is, and whose input topic is read when none is named.
    named
        Another topic.
    begin, end
        Places as users write them: an offset of every partition, or an RFC 3339 time; None for the topic's
        first record, and for what is its end now.
    limit
        Read so many records at most.

    Raises
    ------
    SetupError
        If a place is neither offset nor time, or Kafka or the topic cannot be used.
    KafkaError
        If the topic cannot be read all the same.
    """
    places = _place(begin, "--from"), _place(end, "--to")
    topic = require_topic(config, monitor, named, AclOperation.READ)
    found = TopicRange(for_consumer(config.kafka.properties), topic, *places)
    source = f"topic {topic}" + (f" from {begin}" if begin else "") + (f" to {end}" if end else "")
    total = found.total if limit is None else min(found.total, limit)
    return RecordedEvents(topic, source, total, lambda: islice(found, limit))


def _place(written: str | None, option: str) -> Place | None:
    if written is None:
        return None
    if written.isdecimal():
        return Place(offset=int(written))
    times, readable = parse_times_ms([written])
    if not readable[0]:
        raise SetupError(
            f"{option}: {written!r} is neither an offset nor a time such as 2026-11-20T12:00:00Z."
        )
    return Place(time_ms=int(times[0]))
