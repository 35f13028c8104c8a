"""The state of monitors in Redis, shared by all workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from detectors.promises.promises import Threshold
from monitor.config import MonitorConfig
from monitor.policies import window_policy
from monitor.verdicts.known_thresholds import KnownThresholds
from streams.state.decision_store import DecisionStore
from streams.state.redis_connection import RedisConnection, ScriptCall
from streams.state.redis_keys import MonitorKeys, ProcedureKeys
from streams.state.reference_store import ReferenceStore
from streams.state.window_store import WindowStore


@dataclass(frozen=True)
class RedisStores:
    """State in Redis.

    Attributes
    ----------
    connection
        Where Redis is.
    prefix
        What Redis keys start with.
    lease_ms
        How long a closed window is left to the worker that closed it, in milliseconds.
    """

    connection: RedisConnection
    prefix: str
    lease_ms: int = 10_000

    def windows(self, config: MonitorConfig) -> WindowStore:
        """Return the windows of a monitor."""
        return WindowStore(self.connection, self._keys(config), window_policy(config), lease_ms=self.lease_ms)

    def references(self, config: MonitorConfig) -> ReferenceStore:
        """Return the references of a monitor."""
        return ReferenceStore(self.connection, self._keys(config))

    def discoveries(self, q: float) -> DecisionStore:
        """Return the decisions of the procedure that keeps a false discovery rate."""
        return DecisionStore(self.connection, ProcedureKeys(self.prefix, "FDR", repr(float(q))))

    def recall_threshold(self, promise: str, work_out: Callable[[], Threshold]) -> Threshold:
        """Return the threshold that keeps a promise, worked out once for all workers."""
        return KnownThresholds(self.connection, self.prefix).recall(promise, work_out)

    def run(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Carry out calls in one round trip."""
        return self.connection.run(calls)

    def judging_ms(self) -> int:
        """Return the wall-clock time, milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def _keys(self, config: MonitorConfig) -> MonitorKeys:
        return MonitorKeys(self.prefix, config.name)
