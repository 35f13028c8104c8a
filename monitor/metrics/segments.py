"""How the segments of all monitors stand, read from Redis when somebody asks.

All workers tell the same, since all read the same state, so a dashboard takes the ``max`` over them.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.alerts.policy import DriftState
from monitor.history import GlanceReader, MonitorGlance, SegmentGlance
from streams.errors import RedisError
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys

STATE_NUMBERS = {DriftState.NORMAL: 0, DriftState.PENDING: 1, DriftState.DRIFT: 2}


class SegmentStates(Collector):
    """Where segments stand, as gauges.

    Parameters
    ----------
    connection
        Where Redis is; of its own, since the worker's is not for several threads.
    prefix
        What Redis keys start with.
    monitors
        Returns the names of the monitors.
    most
        Segments of a monitor up to which each has series of its own; a monitor that has more is told in sum.
    """

    def __init__(
        self, connection: RedisConnection, prefix: str, monitors: Callable[[], Sequence[str]], most: int
    ) -> None:
        self._redis = connection
        self._prefix = prefix
        self._monitors = monitors
        self._most = most
        self._readers: dict[str, GlanceReader] = {}

    def collect(self) -> Iterable[Metric]:
        """Return how the segments stand, and whether Redis answers."""
        gauges = _Gauges()
        up = 1
        try:
            for monitor, glance in self._read():
                gauges.add(monitor, glance, each=len(glance.segments) <= self._most)
        except RedisError:
            gauges, up = _Gauges(), 0
        yield from gauges.families
        yield GaugeMetricFamily("drift_monitor_redis_up", "1 when Redis answers, else 0.", value=up)

    def _read(self) -> Iterable[tuple[str, MonitorGlance]]:
        for monitor in self._monitors():
            if monitor not in self._readers:
                self._readers[monitor] = GlanceReader(self._redis, MonitorKeys(self._prefix, monitor), 1)
            yield monitor, self._readers[monitor].read()


class _Gauges:
    """The metrics of one scrape, being filled."""

    def __init__(self) -> None:
        self.families: list[GaugeMetricFamily] = []
        self._segments = self._gauge("segments", "Segments by state: normal, pending or drift.", "state")
        self._awaiting = self._gauge("awaiting_windows", "Closed windows without a settled verdict.")
        self._state = self._gauge("state", "State of a segment: 0 normal, 1 pending, 2 drift.", "segment")
        self._p_value = self._gauge("p_value", "p-value of the last window.", "segment")
        self._threshold = self._gauge("threshold", "p-value below which it would be drift.", "segment")
        self._statistic = self._gauge("statistic", "Test statistic of the last window.", "segment")
        self._filled = self._gauge("window_scores", "Scores in the open window.", "segment")
        self._age = self._gauge("window_age_seconds", "Time since the open window's first score.", "segment")

    def add(self, monitor: str, glance: MonitorGlance, *, each: bool) -> None:
        """Add a monitor; ``each`` tells whether every segment has series of its own."""
        states = Tally(segment.alert.state for segment in glance.segments if segment.alert is not None)
        for state in DriftState:
            self._segments.add_metric([monitor, state.value], states[state])
        self._awaiting.add_metric([monitor], glance.awaiting)
        if each:
            for segment in glance.segments:
                self._add_segment([monitor, segment.segment], segment)

    def _add_segment(self, labels: Sequence[str], segment: SegmentGlance) -> None:
        if segment.alert is not None:
            self._state.add_metric(labels, STATE_NUMBERS[segment.alert.state])
        for verdict in segment.recent[-1:]:
            self._p_value.add_metric(labels, verdict.p_value)
            self._threshold.add_metric(labels, verdict.threshold)
            self._statistic.add_metric(labels, verdict.statistic)
        self._filled.add_metric(labels, segment.open_count)
        opened_ms = segment.opened_ms
        self._age.add_metric(labels, max(0.0, time.time() - opened_ms / 1000) if opened_ms else 0.0)

    def _gauge(self, name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
        gauge = GaugeMetricFamily(f"drift_monitor_{name}", documentation, labels=["monitor", *labels])
        self.families.append(gauge)
        return gauge
