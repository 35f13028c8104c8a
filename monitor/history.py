"""Reading what a monitor has decided: the one place that reads the state in Redis for people to look at.

Nothing here writes. A Redis user that may read the monitor's keys is enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from monitor.alerts.policy import AlertState
from monitor.verdicts.standing import Standing
from monitor.verdicts.verdict import Verdict
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.window_bytes import open_count, opened_ms
from streams.state.windows import ClosedWindow, last_settled


def read_verdicts(
    connection: RedisConnection, keys: MonitorKeys, segment: str, most: int = 500
) -> list[Verdict]:
    """Return a segment's latest verdicts, oldest first."""
    with connection.client() as client:
        stored: Any = client.lrange(keys.verdicts(segment), 0, most - 1)
    return _oldest_first(stored)


def read_alert_states(connection: RedisConnection, keys: MonitorKeys) -> dict[str, AlertState]:
    """Return the alert state of every segment that has a verdict."""
    with connection.client() as client:
        stored: Any = client.hgetall(keys.alerts)
    return {segment.decode(): Standing.decode(raw).alert for segment, raw in stored.items()}


@dataclass(frozen=True)
class SegmentHistory:
    """All that is known of one segment, read at one moment.

    Attributes
    ----------
    verdicts
        Its latest verdicts, oldest first.
    alert
        Its alert state; None before the first verdict.
    last
        Its last judged window with the scores; None before the first verdict.
    open_count
        Scores in its open window.
    drifted
        Its last drifted window with the scores; None when none has drifted.
    rejected
        Rejected events of the whole monitor, by reason.
    """

    verdicts: Sequence[Verdict]
    alert: AlertState | None
    last: ClosedWindow | None
    open_count: int
    drifted: ClosedWindow | None
    rejected: Mapping[str, int]


def read_segment(
    connection: RedisConnection, keys: MonitorKeys, segment: str, most: int = 500
) -> SegmentHistory:
    """Read a segment's verdicts, alert state and windows in one transaction."""
    with connection.client() as client:
        pipe = client.pipeline(transaction=True)
        pipe.lrange(keys.verdicts(segment), 0, most - 1)
        pipe.hget(keys.alerts, segment)
        pipe.get(keys.last(segment))
        pipe.hget(keys.open, segment)
        pipe.get(keys.marked(segment))
        pipe.hgetall(keys.rejected)
        stored: list[Any] = pipe.execute()
    verdicts, alert, last, opened, drifted, rejected = stored
    return SegmentHistory(
        verdicts=_oldest_first(verdicts),
        alert=None if alert is None else Standing.decode(alert).alert,
        last=None if last is None else last_settled(segment, last),
        open_count=0 if opened is None else open_count(opened),
        drifted=None if drifted is None else last_settled(segment, drifted),
        rejected=_by_reason(rejected),
    )


@dataclass(frozen=True)
class SegmentGlance:
    """Where a segment stands.

    Attributes
    ----------
    segment
        Its name.
    alert
        Its alert state; None before the first verdict.
    recent
        Its latest verdicts, oldest first.
    open_count
        Scores in its open window.
    opened_ms
        When the open window took its first score of its own, milliseconds since 1970; 0 before that.
    """

    segment: str
    alert: AlertState | None
    recent: Sequence[Verdict]
    open_count: int
    opened_ms: int


@dataclass(frozen=True)
class MonitorGlance:
    """Where all segments of a monitor stand.

    Attributes
    ----------
    segments
        Every segment that has had an event, by name.
    awaiting
        Closed windows that await their verdict.
    rejected
        Rejected events by reason.
    """

    segments: Sequence[SegmentGlance]
    awaiting: int
    rejected: Mapping[str, int]


class GlanceReader:
    """Reads where a monitor's segments stand, time and again; verdicts only where there are new ones.

    Parameters
    ----------
    connection
        Where Redis is.
    keys
        Names of the monitor's keys.
    recent
        Verdicts to read of each segment.
    """

    def __init__(self, connection: RedisConnection, keys: MonitorKeys, recent: int = 20) -> None:
        self._redis = connection
        self._keys = keys
        self._recent = recent
        self._lock = Lock()
        self._epoch: bytes | None = None
        self._known: dict[bytes, tuple[bytes, list[Verdict]]] = {}

    def read(self) -> MonitorGlance:
        """Read where the segments stand now."""
        # Viewers share one reader, so that their number does not show in Redis' load.
        with self._lock, self._redis.client() as client:
            pipe = client.pipeline(transaction=True)
            pipe.hget(self._keys.progress, "epoch")
            pipe.hgetall(self._keys.alerts)
            pipe.hgetall(self._keys.open)
            pipe.hlen(self._keys.closed)
            pipe.hgetall(self._keys.rejected)
            stored: list[Any] = pipe.execute()
            epoch, alerts, opened, awaiting, rejected = stored
            if epoch != self._epoch:
                # Another data set: what was read of the lost one may look like part of this one.
                self._epoch, self._known = epoch, {}
            self._learn(client, alerts)
            return MonitorGlance(
                segments=[
                    self._glance(name, alerts, opened) for name in sorted(alerts.keys() | opened.keys())
                ],
                awaiting=awaiting,
                rejected=_by_reason(rejected),
            )

    def _learn(self, client: Any, alerts: Mapping[bytes, bytes]) -> None:
        self._known = {name: known for name, known in self._known.items() if name in alerts}
        # The stored alert state begins with the number of the last settled window, so it changes with each.
        news = [name for name, raw in alerts.items() if self._known.get(name, (b"",))[0] != raw]
        if not news:
            return
        pipe = client.pipeline(transaction=False)
        for name in news:
            pipe.lrange(self._keys.verdicts(name.decode()), 0, self._recent - 1)
        for name, verdicts in zip(news, pipe.execute(), strict=True):
            self._known[name] = (alerts[name], _oldest_first(verdicts))

    def _glance(
        self, name: bytes, alerts: Mapping[bytes, bytes], opened: Mapping[bytes, bytes]
    ) -> SegmentGlance:
        alert, window = alerts.get(name), opened.get(name)
        return SegmentGlance(
            segment=name.decode(),
            alert=None if alert is None else Standing.decode(alert).alert,
            recent=self._known[name][1] if alert is not None else [],
            open_count=0 if window is None else open_count(window),
            opened_ms=0 if window is None else opened_ms(window),
        )


def _oldest_first(stored: Sequence[bytes]) -> list[Verdict]:
    return [Verdict.decode(raw) for raw in reversed(stored)]


def _by_reason(stored: Mapping[bytes, bytes]) -> dict[str, int]:
    """Numbers of rejected events, the most frequent reason first."""
    counts = {reason.decode(): int(count) for reason, count in stored.items()}
    return dict(sorted(counts.items(), key=lambda one: -one[1]))
