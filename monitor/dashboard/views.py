"""What the page shows, as JSON-ready data read from Redis."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.alerts.replay import replay
from monitor.config import Config, MonitorConfig
from monitor.dashboard.critical import critical_distances
from monitor.dashboard.distributions import compare
from monitor.dashboard.throughput import present_rate, rates
from monitor.history import GlanceReader, SegmentGlance, read_segment
from monitor.policies import alert_policy, window_policy
from monitor.verdicts.verdict import Verdict
from streams.errors import StateError
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.reference_store import ReferenceStore
from streams.state.windows import ClosedWindow

KEPT_REFERENCES = 8
"""References held in memory; they never change, and few are looked at together."""

_COLUMNS = (
    "sequence",
    "size",
    "start_ms",
    "end_ms",
    "statistic",
    "p_value",
    "threshold",
    "drift",
    "mean",
    "max",
    "flagged_fraction",
    "tested_ms",
)


class Views:
    """The data behind the page.

    Parameters
    ----------
    config
        Which monitors there are.
    connection
        Where Redis is; only read from.
    """

    def __init__(self, config: Config, connection: RedisConnection) -> None:
        self._redis = connection
        self._monitors = {
            monitor.name: _Watched(monitor, connection, config.redis.prefix) for monitor in config.monitors
        }

    def overview(self) -> dict[str, Any]:
        """Describe where every segment of every monitor stands."""
        return {"monitors": [watched.overview() for watched in self._monitors.values()]}

    def segment(self, monitor: str, segment: str) -> dict[str, Any] | None:
        """Describe one segment in full; None when there is no such monitor."""
        watched = self._monitors.get(monitor)
        return None if watched is None else watched.segment(segment)


class _Watched:
    """One monitor as the page sees it."""

    def __init__(self, config: MonitorConfig, connection: RedisConnection, prefix: str) -> None:
        self._config = config
        self._redis = connection
        self._keys = MonitorKeys(prefix, config.name)
        self._glances = GlanceReader(connection, self._keys)
        self._references = ReferenceStore(connection, self._keys)
        self._scores: OrderedDict[str, npt.NDArray[np.float32]] = OrderedDict()

    def overview(self) -> dict[str, Any]:
        glance = self._glances.read()
        return {
            **self._description(),
            "awaiting": glance.awaiting,
            "rejected": glance.rejected,
            "segments": [_glance(segment) for segment in glance.segments],
        }

    def segment(self, name: str) -> dict[str, Any]:
        history = read_segment(self._redis, self._keys, name)
        verdicts = history.verdicts
        hop = window_policy(self._config).hop
        moments = [] if history.alert is None else replay(alert_policy(self._config), verdicts, history.alert)
        references = self._stored_references()
        columns = {column: [getattr(verdict, column) for verdict in verdicts] for column in _COLUMNS}
        return {
            **self._description(),
            "segment": name,
            "state": None if history.alert is None else history.alert.state.value,
            "since_ms": None if history.alert is None else history.alert.since_ms,
            "open": history.open_count,
            "references": references,
            "verdicts": {
                **columns,
                "offsets": [_offsets(verdict.offsets) for verdict in verdicts],
                "reference": [verdict.reference for verdict in verdicts],
                "critical": self._critical(verdicts, references),
                "rate": rates(verdicts, hop),
                "state": [moment.state.value for moment in moments],
                "alert": [None if moment.alert is None else moment.alert.value for moment in moments],
            },
            "rate": present_rate(verdicts, hop),
            "rejected": history.rejected,
            "last": None if history.last is None else self._last(history.last, verdicts),
            "drifted": None if history.drifted is None else _named(history.drifted),
        }

    def _description(self) -> dict[str, Any]:
        return {
            "monitor": self._config.name,
            "topic": self._config.input.topic,
            "test": self._config.test.name,
            "alternative": self._config.test.alternative,
            "window": {"size": self._config.window.size, "hop": window_policy(self._config).hop},
        }

    def _stored_references(self) -> dict[str, Any]:
        promotions = self._references.promotions()
        return {
            reference.version: {
                "size": reference.size,
                "mean": reference.mean,
                "in_force": reference.in_force,
                "since_ms": next((at for at, version in promotions if version == reference.version), None),
            }
            for reference in self._references.list()
        }

    def _critical(self, verdicts: Sequence[Verdict], references: dict[str, Any]) -> list[float | None]:
        test: str = self._config.test.name
        if test != "ks_2samp":
            return [None] * len(verdicts)
        sizes = {version: stored["size"] for version, stored in references.items()}
        return critical_distances(verdicts, sizes, self._config.test.alternative)

    def _last(self, window: ClosedWindow, verdicts: Sequence[Verdict]) -> dict[str, Any]:
        verdict = next((v for v in reversed(verdicts) if v.sequence == window.sequence), None)
        comparison: dict[str, Any] | None = None
        problem: str | None = None
        if verdict is not None:
            try:
                reference = self._reference(verdict.reference)
            except StateError as error:
                problem = str(error)
            else:
                comparison = compare(window.scores, reference, self._config.test.alternative).to_json()
        return {
            **_named(window),
            "comparison": comparison,
            "problem": problem,
        }

    def _reference(self, version: str) -> npt.NDArray[np.float32]:
        scores = self._scores.pop(version, None)
        if scores is None:
            scores = self._references.get(version)
        self._scores[version] = scores
        while len(self._scores) > KEPT_REFERENCES:
            self._scores.popitem(last=False)
        return scores


def _glance(glance: SegmentGlance) -> dict[str, Any]:
    last = glance.recent[-1] if glance.recent else None
    return {
        "segment": glance.segment,
        "state": None if glance.alert is None else glance.alert.state.value,
        "since_ms": None if glance.alert is None else glance.alert.since_ms,
        "open": glance.open_count,
        "last": None if last is None else {column: getattr(last, column) for column in _COLUMNS},
        "recent": {
            # Drawn a few pixels high; more digits would only make the overview of 1,000 segments heavier.
            "statistic": [round(verdict.statistic, 2) for verdict in glance.recent],
            "drift": [verdict.drift for verdict in glance.recent],
        },
    }


def _named(window: ClosedWindow) -> dict[str, Any]:
    """Name a window and its highest-scoring events."""
    return {
        "sequence": window.sequence,
        "end_ms": window.pane.end_ms,
        "offsets": _offsets(window.pane.offsets),
        "examples": [example._asdict() for example in window.pane.examples],
    }


def _offsets(offsets: Mapping[int, tuple[int, int]]) -> list[list[int]]:
    """Partition, first and last offset of each partition."""
    return [[partition, first, last] for partition, (first, last) in sorted(offsets.items())]
