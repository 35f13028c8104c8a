"""Scores out: one record an instance, which can be joined to the event that it is of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from monitor.config import Config
from tests.traffic import MonitorState, TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config

N = 300


def test_every_score_arrives_with_the_key_of_its_event(
    kafka, topic: Callable[..., str], redis_url, tmp_path: Path
):
    tiny = TinyDetector(tmp_path / "bundle")
    topics = {name: topic(name) for name in ("events", "alerts", "rejected")}
    scores = topic("scores")
    events = tiny.harmful(N, seed=3)
    ids = [f'"{row}"\n%d é' for row in range(N)]
    values = [
        json.dumps({**json.loads(value), "id": identifier}).encode()
        for value, identifier in zip(events.values, ids, strict=True)
    ]
    keys = [f"key {row % 7}".encode() for row in range(N)]
    places = publish(kafka.bootstrap, topics["events"], [*values, b"{}"], keys=[*keys, b"key 0"])
    config = monitor_config(
        kafka.bootstrap,
        redis_url,
        tiny.path,
        topics,
        scores={"topic": scores},
        segment_by="key",
        worker={"batch_size": 128},
    )
    with WorkerThread(tmp_path, config) as worker, MonitorState(redis_url) as state:
        worker.wait_for("all events", lambda: sum(state.counted().values()) == N + 1)
    found = consume(kafka.bootstrap, scores, N, extra=0.2)

    assert len(found) == N
    by_place = {}
    for message in found:
        score = json.loads(message.value())
        by_place[score["partition"], score["offset"]] = score, message.key()
    for row in range(N):
        score, key = by_place[places[row]]
        assert (key, score["segment"], score["id"]) == (keys[row], keys[row].decode(), ids[row])
        assert (score["monitor"], score["topic"], score["instance"]) == ("m", topics["events"], 0)
        assert score["is_adversarial"] == (score["score"] > tiny.detector.threshold)
    ordered = [by_place[place][0]["score"] for place in places[:N]]
    np.testing.assert_allclose(ordered, events.scores, rtol=1e-5)


@pytest.mark.parametrize("taken", ["events", "alerts", "rejected"])
def test_a_topic_that_holds_something_else_is_refused(taken: str, tmp_path: Path):
    topics = {"events": "events", "alerts": "alerts", "rejected": "rejected"}
    config = monitor_config("b:1", "redis://r:1", tmp_path, topics, scores={"topic": taken})
    with pytest.raises(ValueError, match=r"scores.topic holds (input|alerts|dead letters) of a monitor"):
        Config.model_validate(config)
