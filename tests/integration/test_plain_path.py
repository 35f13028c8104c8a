"""The worker's path, held beside the plainest one: one event at a time, in Python."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ks_2samp

from monitor.config import MonitorConfig
from monitor.history import read_verdicts
from monitor.pipeline import Pipeline
from monitor.stores.in_redis import RedisStores
from monitor.watch import open_watches
from streams.records import RecordBatch
from streams.state.redis_connection import RedisConnection
from streams.state.windows import ClosedWindow, WindowPolicy
from tests.integration.test_pipeline_calls import NoDeadLetters, deliver_at_once
from tests.plain_windows import Event, PlainWindow, PlainWindows
from tests.records_in_memory import TIMESTAMP_MS, InMemoryRecord
from tests.traffic import Events, TinyDetector

WINDOW, HOP = 24, 8
BATCHES = (1, 2, 5, 500, 1, 130, 61, 300)
P_VAL = 0.01


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


def records_of(tiny: TinyDetector, n: int) -> Sequence[InMemoryRecord]:
    """Events of three segments, harmful ones among them from the middle on."""
    calm, harmful = tiny.calm(n, seed=3), tiny.harmful(n, seed=4)
    mixed = np.where(np.arange(n) < n // 2, False, np.random.default_rng(5).random(n) < 0.4)[:, None]
    events = Events(
        np.where(mixed, harmful.instances, calm.instances),
        np.where(mixed, harmful.predictions, calm.predictions),
        calm.scores,
    )
    return [
        InMemoryRecord(value, b"abc"[row % 3 : row % 3 + 1], None, row)
        for row, value in enumerate(events.values)
    ]


def plainly(records: Sequence[InMemoryRecord], tiny: TinyDetector) -> list[PlainWindow]:
    """Decode, score and count one event after the other."""
    windows, closed = PlainWindows(WindowPolicy(WINDOW, HOP)), []
    for record in records:
        event = json.loads(record.value() or b"")
        (score,) = tiny.detector.score_predictions(
            np.array([event["instance"]], np.float32), np.array([event["prediction"]], np.float32)
        ).tolist()
        segment = (record.key() or b"").decode()
        counted = Event(segment, score, record.partition(), record.offset(), TIMESTAMP_MS, None)
        closed += windows.add(counted, now_ms=0)
    return closed


def in_order(windows: Sequence[PlainWindow]) -> list[PlainWindow]:
    return sorted(windows, key=lambda window: (window.segment, window.sequence))


def test_batches_of_any_size_give_the_scores_windows_and_verdicts_of_one_event_at_a_time(
    tiny: TinyDetector, redis_url: str
) -> None:
    records = records_of(tiny, sum(BATCHES))
    connection = RedisConnection(redis_url)
    stores = RedisStores(connection, "drift")
    (watch,) = open_watches([_monitor(tiny.path)], stores, deliver_at_once, state=None)
    pipeline = Pipeline([watch], stores, NoDeadLetters())
    pipeline.attach()
    judge, closed = watch.judge, list[ClosedWindow]()

    def noting(windows: Sequence[ClosedWindow], *stored: object) -> None:
        closed.extend(windows)
        judge(windows, *stored)  # type: ignore[arg-type]

    watch.judge = noting  # type: ignore[method-assign, assignment]

    for start, end in pairwise(accumulate(BATCHES, initial=0)):
        pipeline.count(pipeline.score(RecordBatch("events", records[start:end])))
    pipeline.settle()

    expected = in_order(plainly(records, tiny))
    assert in_order([PlainWindow.of(window) for window in closed]) == expected
    verdicts = [
        (segment, verdict)
        for segment in "abc"
        for verdict in read_verdicts(connection, watch.store.keys, segment)
    ]
    assert [(segment, verdict.sequence) for segment, verdict in verdicts] == [
        (window.segment, window.sequence) for window in expected
    ]
    for (_, verdict), window in zip(verdicts, expected, strict=True):
        plain = ks_2samp(window.scores, tiny.reference, alternative="less", method="exact")
        assert (verdict.statistic, verdict.p_value) == pytest.approx(
            (plain.statistic, plain.pvalue), rel=1e-9
        )
        assert verdict.drift == (plain.pvalue < P_VAL)
    assert {verdict.drift for _, verdict in verdicts} == {True, False}
    connection.close()


def _monitor(bundle: Path) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {
            "name": "m",
            "input": {"topic": "events"},
            "detector": str(bundle),
            "window": {"size": WINDOW, "hop": HOP},
            "segment_by": "key",
            "test": {"p_val": P_VAL},
            "alerts": {"topic": "alerts"},
            "dead_letters": {"topic": "rejected"},
        }
    )
