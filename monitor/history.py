"""Reading what a monitor has decided: its verdicts and alert states in Redis."""

from __future__ import annotations

from typing import Any

from monitor.alert_policy import AlertState
from monitor.standing import Standing
from monitor.verdicts import Verdict
from streams.redis_connection import RedisConnection
from streams.redis_keys import MonitorKeys


def read_verdicts(
    connection: RedisConnection, keys: MonitorKeys, segment: str, most: int = 500
) -> list[Verdict]:
    """Return a segment's latest verdicts, oldest first."""
    with connection.client() as client:
        stored: Any = client.lrange(keys.verdicts(segment), 0, most - 1)
    return [Verdict.decode(raw) for raw in reversed(stored)]


def read_alert_states(connection: RedisConnection, keys: MonitorKeys) -> dict[str, AlertState]:
    """Return the alert state of every segment that has a verdict."""
    with connection.client() as client:
        stored: Any = client.hgetall(keys.alerts)
    return {segment.decode(): Standing.decode(raw).alert for segment, raw in stored.items()}
