"""Everything that is checked before a worker may begin, and what ``drift-monitor check`` shows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt

from detectors import Bundle, load_bundle
from detectors.errors import DetectorError
from monitor.alerts.alert import Alert
from monitor.checks.findings import Finding, Severity, failed, ok, warning
from monitor.checks.kafka import alert_uses, check_forwarder, check_kafka, topic_uses
from monitor.checks.redis import check_redis, connect
from monitor.checks.schema_registry import check_schema_registry
from monitor.codec_services import codec_services
from monitor.config import Config, MonitorConfig
from monitor.errors import MonitorError
from monitor.pipeline import Pipeline
from monitor.stores.in_redis import RedisStores
from monitor.verdicts.promises import luck_of_the_reference, monitor_test, threshold_rule
from monitor.watch import Watch
from streams.errors import StreamError
from streams.events import RejectedEvent
from streams.records import RecordBatch
from streams.state.redis_connection import RedisConnection
from streams.state.reference_store import reference_version

Reference: TypeAlias = npt.NDArray[np.float32]

SLOW_SECONDS = 5.0
"""Time to a threshold from which operators should know of it; those of large windows take half a minute."""


def check_all(config: Config, *, create_topics: bool = False, forwarder: bool = False) -> Iterator[Finding]:
    """Check bundles, Kafka, topics, schema registry, Redis and references; yield findings as they come.

    Nothing is consumed and nothing is written, other than topics that are asked for and a passing Redis key.

    Parameters
    ----------
    config
        A config that is right in itself.
    create_topics
        Whether to create topics that are missing.
    forwarder
        Whether to warn of what the forwarder of alerts lacks, if the config has one.
    """
    connection = connect(config)
    try:
        watches: list[tuple[Watch, Reference]] = []
        yield from _check_detectors(config, connection, watches)
        yield from check_kafka(
            config.kafka.properties, topic_uses(config), group=True, create_topics=create_topics
        )
        if forwarder and config.forward is not None:
            groups = [config.forward.group_of(target) for target in config.forward.targets]
            yield from check_forwarder(config.kafka.properties, alert_uses(config), groups)
        if config.schema_registry is not None:
            yield check_schema_registry(config.schema_registry)
        in_redis = list(check_redis(config, connection))
        yield from in_redis
        if all(finding.severity is not Severity.FAILED for finding in in_redis):
            for watch, bundled in watches:
                yield from _check_reference(watch, bundled)
                yield from _check_windows(watch)
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
            watch = Watch(monitor, bundle, _stores(config, connection), _send_nothing, state=None)
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
        Pipeline(
            [watch for watch, _ in watches],
            _stores(config, connection),
            _NoDeadLetters(),
            codec_services=codec_services(config, connection),
        )
    except (MonitorError, StreamError) as error:
        yield failed("monitors", str(error))


def _check_reference(watch: Watch, bundled_scores: Reference) -> Iterator[Finding]:
    subject = f"reference of {watch.config.name}"
    bundled = reference_version(bundled_scores)
    try:
        current = watch.references.current()
        if current is None:
            scores = bundled_scores
            state = "the bundle's; the first worker puts it in force"
        else:
            scores = watch.references.get(current)
            state = (
                "the bundle's, in force" if current == bundled else "in force; the bundle holds another one"
            )
        monitor_test(watch.config, scores)
    except (StreamError, MonitorError, DetectorError) as error:
        yield failed(subject, str(error))
        return
    size = len(scores)
    described = f"{short_version(current or bundled)}, {size} scores, {state}"
    luck = luck_of_the_reference(watch.config, size)
    yield ok(subject, described) if luck is None else warning(subject, f"{described}. {luck}")
    if watch.config.test.expected_run_time is not None:
        yield _check_promise(watch.config, size)


def _check_windows(watch: Watch) -> Iterator[Finding]:
    try:
        watch.check_windows()
    except (StreamError, MonitorError) as error:
        yield failed(f"windows of {watch.config.name}", str(error))


def _check_promise(monitor: MonitorConfig, reference_size: int) -> Finding:
    """Work out the threshold of a promised run-time, as every worker does at its start."""
    subject = f"promise of {monitor.name}"
    started = time.process_time()
    try:
        threshold = threshold_rule(monitor, reference_size)(monitor.window.size)
    except DetectorError as error:
        return failed(subject, str(error))
    seconds = time.process_time() - started
    found = f"one false alarm in {monitor.test.expected_run_time:g} windows; drift is a p-value below"
    found = f"{found} {threshold.p_value:.3g}"
    if seconds > SLOW_SECONDS:
        return warning(
            subject,
            f"{found}. That took {seconds:.0f} s to work out, and takes every worker as long at its start and"
            " when a reference of another size is promoted.",
        )
    return ok(subject, found)


def short_version(version: str) -> str:
    """Shorten a reference's version to what people can tell apart."""
    return version[: len("sha256:") + 12]


def _stores(config: Config, connection: RedisConnection) -> RedisStores:
    return RedisStores(connection, config.redis.prefix)


def _send_nothing(topic: str, alert: Alert) -> NoReturn:
    raise MonitorError(f"A check was about to publish an alert to {topic!r}, which it must not.")


class _NoDeadLetters:
    """A check rejects no events."""

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]) -> NoReturn:
        raise MonitorError(f"A check was about to reject events to {topic!r}, which it must not.")
