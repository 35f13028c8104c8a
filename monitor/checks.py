"""Everything that is checked before a worker may begin, and what ``drift-monitor check`` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors import Bundle, load_bundle
from detectors.errors import DetectorError
from monitor.alerts import Alert
from monitor.config import Config, MonitorConfig
from monitor.errors import MonitorError
from monitor.findings import Finding, Severity, failed, ok, warning
from monitor.kafka_checks import check_kafka, topic_uses
from monitor.pipeline import Pipeline
from monitor.redis_checks import check_redis, connect
from monitor.watch import Watch
from streams.errors import StreamError
from streams.events import RejectedEvent
from streams.records import RecordBatch
from streams.redis_connection import RedisConnection
from streams.reference_store import reference_version

Reference: TypeAlias = npt.NDArray[np.float32]

REFERENCE_TO_WINDOW = 10
"""Scores that a reference should have for each score of a window. What chance put into a reference moves
every verdict against it, and fades only as it outgrows the window."""


def check_all(config: Config, *, create_topics: bool = False) -> Iterator[Finding]:
    """Check bundles, Kafka, topics, Redis and references, and yield a finding for each as it comes.

    Nothing is consumed and nothing is written, other than topics that are asked for and a passing Redis key.

    Parameters
    ----------
    config
        A config that is right in itself.
    create_topics
        Whether to create topics that are missing.
    """
    connection = connect(config)
    try:
        watches: list[tuple[Watch, Reference]] = []
        yield from _check_detectors(config, connection, watches)
        yield from check_kafka(
            config.kafka.properties, topic_uses(config), group=True, create_topics=create_topics
        )
        in_redis = list(check_redis(config, connection))
        yield from in_redis
        if all(finding.severity is not Severity.FAILED for finding in in_redis):
            for watch, bundled in watches:
                yield from _check_reference(watch, bundled)
    finally:
        connection.close()


def _check_detectors(
    config: Config, connection: RedisConnection, watches: list[tuple[Watch, Reference]]
) -> Iterator[Finding]:
    """Open the bundles; ``watches`` receives the monitors that suit their bundle, with its reference."""
    bundles: dict[object, Bundle] = {}
    for monitor in config.monitors:
        subject = f"detector of {monitor.name}"
        try:
            if monitor.detector not in bundles:
                bundles[monitor.detector] = load_bundle(monitor.detector)
            bundle = bundles[monitor.detector]
            watch = _watch(config, monitor, bundle, connection)
            schema = watch.schema
        except (DetectorError, MonitorError) as error:
            yield failed(subject, str(error))
            continue
        if bundle.reference is not None:
            watches.append((watch, bundle.reference))
        shape = " x ".join(map(str, schema.input_shape))
        threshold = watch.detector.threshold
        flagged = "no threshold" if threshold is None else f"threshold {threshold:.4g}"
        yield ok(subject, f"{monitor.detector}: inputs {shape}, {schema.n_classes} classes, {flagged}")
    try:
        Pipeline([watch for watch, _ in watches], connection, _NoDeadLetters())
    except (MonitorError, StreamError) as error:
        yield failed("monitors", str(error))


def _check_reference(watch: Watch, bundled_scores: Reference) -> Iterator[Finding]:
    subject = f"reference of {watch.config.name}"
    bundled = reference_version(bundled_scores)
    try:
        current = watch.references.current()
        if current is None:
            size = len(bundled_scores)
            state = "the bundle's; the first worker puts it in force"
        else:
            watch.use_reference(current)
            size = len(watch.references.get(current))
            state = (
                "the bundle's, in force" if current == bundled else "in force; the bundle holds another one"
            )
    except (StreamError, MonitorError, DetectorError) as error:
        yield failed(subject, str(error))
        return
    described = f"{short_version(current or bundled)}, {size} scores, {state}"
    window = watch.config.window.size
    if size < REFERENCE_TO_WINDOW * window:
        yield warning(
            subject,
            f"{described}; for windows of {window} it should have {REFERENCE_TO_WINDOW * window} or more.",
        )
    else:
        yield ok(subject, described)


def short_version(version: str) -> str:
    """Shorten a reference's version to what people can tell apart."""
    return version[: len("sha256:") + 12]


def _watch(config: Config, monitor: MonitorConfig, bundle: Bundle, connection: RedisConnection) -> Watch:
    lease_ms = int(config.worker.lease_seconds * 1000)
    return Watch(
        monitor, bundle, connection, _send_nothing, state=None, prefix=config.redis.prefix, lease_ms=lease_ms
    )


def _send_nothing(topic: str, alert: Alert) -> NoReturn:
    raise MonitorError(f"A check was about to publish an alert to {topic!r}, which it must not.")


class _NoDeadLetters:
    """A check rejects no events."""

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]) -> None:
        raise MonitorError(f"A check was about to reject events to {topic!r}, which it must not.")
