"""The metrics that a worker keeps while it works: all their names, and the few calls by which they are kept.

Every call is made once a batch, a window or an outage, never once an event. What is measured only when
somebody asks is in ``monitor.metrics.lag`` and ``monitor.metrics.segments``.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from monitor.alerts.policy import AlertKind
from monitor.metrics.pulse import Pulse
from monitor.metrics.score_histogram import ScoreHistogram
from monitor.verdicts.verdict import JudgedWindow
from streams.errors import SchemaRegistryError
from streams.events import RejectedEvent, RejectReason
from streams.kafka.group_offsets import Partition
from streams.state.redis_connection import RedisUnavailableError

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From the decoding of a small batch to a Redis that answers just before its timeout."""

Series: TypeAlias = tuple[Counter, tuple[str, ...]]
"""A counter and the values of its labels."""


class Instruments:
    """Metrics of one worker, in a registry of its own so that several workers may share a process.

    Attributes
    ----------
    registry
        Where the metrics are collected from.
    pulse
        Whether the worker's loop turns.
    positions
        Next offset to read of each partition that the worker has; the worker's own, so only for reading.
    read_until_ms
        Timestamp of the last record that was counted of each partition, milliseconds since 1970.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._expected: set[tuple[str, str]] = set()
        self.pulse = Pulse()
        self.positions: dict[Partition, int] = {}
        self.read_until_ms: dict[Partition, int] = {}
        ProcessCollector(registry=self.registry)
        self._gauge("build_info", "The version that runs; always 1.", "version").labels(
            version("drift-monitor")
        ).set(1)
        self._events = self._counter("events", "Records read, those read again included.", "topic")
        self._rejected = self._counter(
            "rejected_events", "Records sent to the dead letters, by reason.", "topic", "reason"
        )
        self._scores = ScoreHistogram("drift_monitor_score", "Harmfulness scores of instances.")
        self.registry.register(self._scores)
        self._flagged = self._counter(
            "flagged_instances", "Instances with a score above the detector's threshold.", "monitor"
        )
        self._windows = self._counter(
            "windows", "Windows tested, by verdict: clean or drift.", "monitor", "verdict"
        )
        self._alerts = self._counter(
            "alerts", "Alerts sent, by kind: detected, ongoing or resolved.", "monitor", "kind"
        )
        self.batch = self._histogram("batch_seconds", "Time from a batch's arrival until it is counted.")
        self._stages = self._histogram("stage_seconds", "Time that a part of the work took.", "stage")
        self.redis_errors = self._counter("redis_errors", "Times that Redis failed the worker.")
        self.kafka_errors = self._counter("kafka_errors", "Times that Kafka failed the worker.")
        self.schema_registry_errors = self._counter(
            "schema_registry_errors", "Times that the schema registry failed the worker."
        )
        self.state_losses = self._counter(
            "state_losses", "Times that Redis held less than was counted, so that events were read again."
        )
        self._missing = self._counter(
            "missing_offsets", "Offsets to be counted that the topic no longer held.", "topic"
        )
        self.rebalances = self._counter("rebalances", "Times that partitions were given or taken.")
        self.partitions = self._gauge("assigned_partitions", "Partitions that this worker reads.")
        self.partitions.set_function(lambda: len(self.positions))
        self.unsettled = self._gauge(
            "unsettled_verdicts", "Verdicts of this worker whose alerts are not delivered and settled yet."
        )
        waiting = self._gauge("waiting", "1 while an outage holds the worker up, else 0.")
        waiting.set_function(lambda: self.pulse.waiting_for is not None)

    def expect(self, monitor: str, topic: str) -> None:
        """Begin the counters of a monitor at 0, so that Prometheus sees their first step too."""
        for counter, labels in (*self._of_monitor(monitor), *self._of_topic(topic)):
            counter.labels(*labels)
        self._expected.add((monitor, topic))

    def forget_others(self, watched: Mapping[str, str]) -> None:
        """Drop what is counted by monitor and topic, except of these.

        Parameters
        ----------
        watched
            Topic of each monitor.
        """
        expected, self._expected = self._expected, set(watched.items())
        gone = [*map(self._of_monitor, {name for name, _ in expected} - watched.keys())]
        gone += map(self._of_topic, {topic for _, topic in expected} - set(watched.values()))
        for counter, labels in chain.from_iterable(gone):
            counter.remove(*labels)
        self._scores.keep(watched)

    def _of_monitor(self, monitor: str) -> Iterator[Series]:
        yield self._flagged, (monitor,)
        for verdict in ("clean", "drift"):
            yield self._windows, (monitor, verdict)
        for kind in AlertKind:
            yield self._alerts, (monitor, kind.value)

    def _of_topic(self, topic: str) -> Iterator[Series]:
        yield self._events, (topic,)
        yield self._missing, (topic,)
        for reason in RejectReason:
            yield self._rejected, (topic, reason.value)

    def took(self, stage: str, seconds: float) -> None:
        """Note how long a part of the work took, once."""
        self._stages.labels(stage).observe(seconds)

    def read(self, topic: str, events: int, rejected: Sequence[RejectedEvent]) -> None:
        """Count the records of a batch and those of them that were rejected."""
        self._events.labels(topic).inc(events)
        if rejected:
            for reason, count in Tally(event.reason.value for event in rejected).items():
                self._rejected.labels(topic, reason).inc(count)

    def scored(self, monitor: str, scores: npt.NDArray[np.float32], threshold: float | None) -> None:
        """Count the scores of a batch, shape (n,), and those above the detector's threshold."""
        self._scores.observe(monitor, scores)
        if threshold is not None:
            self._flagged.labels(monitor).inc(int(np.count_nonzero(scores > threshold)))

    def judged(self, monitor: str, judged: Sequence[JudgedWindow]) -> None:
        """Count verdicts."""
        drifted = sum(one.verdict.drift for one in judged)
        self._windows.labels(monitor, "drift").inc(drifted)
        self._windows.labels(monitor, "clean").inc(len(judged) - drifted)

    def alerted(self, monitor: str, kind: AlertKind) -> None:
        """Count an alert."""
        self._alerts.labels(monitor, kind.value).inc()

    def missed(self, topic: str, offsets: int) -> None:
        """Count offsets that retention has deleted before they were counted."""
        self._missing.labels(topic).inc(offsets)

    def held_up(self, error: Exception | None) -> None:
        """Note that an outage holds the worker up, at every attempt; None when it is over."""
        self.pulse.beat()
        self.pulse.waiting_for = None if error is None else str(error)
        if error is not None:
            self._errors_like(error).inc()

    def _errors_like(self, error: Exception) -> Counter:
        if isinstance(error, RedisUnavailableError):
            return self.redis_errors
        return self.schema_registry_errors if isinstance(error, SchemaRegistryError) else self.kafka_errors

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"drift_monitor_{name}", documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(f"drift_monitor_{name}", documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(
            f"drift_monitor_{name}", documentation, labels, registry=self.registry, buckets=_SECONDS
        )
