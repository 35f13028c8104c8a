"""State in a real Redis as workers leave it, written by the stores and the ledger that workers use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from detectors.promises.promises import Threshold
from detectors.window_tests import window_test
from monitor.alerts.policy import AlertKind, AlertPolicy
from monitor.verdicts.ledger import Delivered, Ledger
from monitor.verdicts.verdict import Verdict, judge
from streams.state.batches import Batch
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.reference_store import ReferenceStore
from streams.state.window_store import WindowStore
from streams.state.windows import ScoredRows, WindowPolicy

START_MS = 1_790_000_000_000
P_VAL = 0.01
FLAGGED_ABOVE = 1.0
MINUTE_MS = 60_000


class SeededMonitor:
    """A monitor whose windows are filled, judged and settled without Kafka.

    Parameters
    ----------
    redis_url
        Where to.
    name
        Name of the monitor.
    size
        Scores in a window.
    """

    def __init__(self, redis_url: str, name: str, size: int = 20) -> None:
        self.name = name
        self.keys = MonitorKeys("drift", name)
        self.reference = np.sort(np.random.default_rng(0).exponential(0.3, 200).astype(np.float32))
        self.connection = RedisConnection(redis_url)
        references = ReferenceStore(self.connection, self.keys)
        self.version = references.adopt(self.reference)
        self.store = WindowStore(self.connection, self.keys, WindowPolicy(size, size))
        self.store.attach()
        self.alerts: list[tuple[str, int, AlertKind]] = []
        self._ledger = Ledger(AlertPolicy(raise_after=2, raise_within=2, resolve_after=2), self._publish)
        self._size = size
        self._offset = 0
        self._rng = np.random.default_rng(1)

    def config(self) -> dict[str, Any]:
        """What ``monitors`` of a config says of this monitor."""
        return {
            "name": self.name,
            "input": {"topic": "events"},
            "detector": "no-bundle-needed",
            "window": {"size": self._size},
            "test": {"p_val": P_VAL},
            "alerts": {"topic": "alerts", "raise_after": 2, "resolve_after": 2},
            "dead_letters": {"topic": "dead"},
        }

    def clean(self, count: int | None = None) -> npt.NDArray[np.float32]:
        """Draw scores like the reference's; a window of them by default."""
        return self._rng.choice(self.reference, count or self._size)

    def harmful(self, count: int | None = None) -> npt.NDArray[np.float32]:
        """Draw scores that are higher than the reference's."""
        return (self.clean(count) + np.float32(1.5)).astype(np.float32)

    def reject(self, reasons: Sequence[str]) -> None:
        """Count events that were rejected for these reasons."""
        places = [(0, self._offset + i, reason) for i, reason in enumerate(reasons)]
        self._offset += len(reasons)
        none = np.empty(0, np.int64)
        rows = ScoredRows(none.astype(np.float32), none.astype(np.int32), none, none, none, ids=None)
        batch = Batch(rows, None, {0: self._offset}, rejected=places)
        call = self.store.append_call(batch)
        assert call is not None
        assert self.store.append_reply(batch, self.connection.run([call])[0]) is not None

    def feed(self, scores: Mapping[str, npt.NDArray[np.float32]], now_ms: int) -> Sequence[Verdict]:
        """Count scores by segment, test the windows that they fill at a time, and settle the verdicts."""
        total = sum(map(len, scores.values()))
        offsets = np.arange(self._offset, self._offset + total)
        self._offset += total
        rows = ScoredRows(
            scores=np.concatenate(list(scores.values())),
            partitions=np.zeros(total, np.int32),
            offsets=offsets,
            times_ms=np.full(total, now_ms),
            rows=np.arange(total),
            ids=[f"event-{offset}" for offset in offsets],
        )
        segments = [name for name, own in scores.items() for _ in own]
        batch = Batch(rows, segments, {0: self._offset})
        call = self.store.append_call(batch)
        assert call is not None
        appended = self.store.append_reply(batch, self.connection.run([call])[0])
        assert appended is not None
        judged = judge(
            appended.closed,
            window_test("ks_2samp", self.reference, "higher"),
            threshold_of=lambda _: Threshold(P_VAL, P_VAL),
            score_threshold=FLAGGED_ABOVE,
            reference=self.version,
            now_ms=now_ms,
        )
        self._ledger.enter(judged)
        settlements = self._ledger.settlements()
        if settlements:
            reply = self.connection.run([self.store.settle_call(settlements)])[0]
            self._ledger.settled(settlements, self.store.settle_reply(settlements, reply).refused)
        return [one.verdict for one in judged]

    def close(self) -> None:
        """Give the connection back."""
        self.connection.close()

    def _publish(self, judged: Any, kind: AlertKind, state: Any) -> Delivered:
        self.alerts.append((judged.window.segment, judged.verdict.sequence, kind))
        return Delivered()


def write_config(directory: Path, redis_url: str, monitors: Sequence[dict[str, Any]]) -> Path:
    """Write a config file for the dashboard; no Kafka is behind it, and none is needed."""
    path = directory / "monitor.yaml"
    config = {
        "kafka": {"bootstrap.servers": "127.0.0.1:9"},
        "redis": {"url": redis_url, "socket_timeout_seconds": 1.0},
        "monitors": list(monitors),
    }
    path.write_text(yaml.safe_dump(config))
    return path
