"""``drift-monitor reset`` against a real Redis."""

from __future__ import annotations

import numpy as np
import pytest

from streams.state.batches import Batch
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.window_store import WindowStore
from streams.state.windows import ScoredRows, WindowPolicy
from tests.cli_setup import Deployment, complaints, deployment, run

KEYS = MonitorKeys("drift", "churn")


@pytest.fixture
def config(tmp_path, redis_url) -> Deployment:
    (tmp_path / "bundle").mkdir()
    config = deployment(tmp_path, "127.0.0.1:9", redis_url)
    config.monitor["window"] = {"size": 40}
    return config


@pytest.fixture
def connection(redis_url: str):
    connection = RedisConnection(redis_url)
    yield connection
    connection.close()


@pytest.fixture
def store(connection) -> WindowStore:
    """Windows of 100 with two closed and 30 scores in the open one."""
    store = WindowStore(connection, KEYS, WindowPolicy(100, 100))
    store.attach()
    offsets = np.arange(230)
    rows = ScoredRows(offsets.astype(np.float32), np.zeros(230, np.int32), offsets, offsets, offsets, None)
    batch = Batch(rows, None, {0: 230})
    call = store.append_call(batch)
    assert call is not None
    store.append_reply(batch, connection.run([call])[0])
    return store


def attach(connection: RedisConnection, size: int) -> None:
    WindowStore(connection, KEYS, WindowPolicy(size, size)).attach()


def test_windows_are_dropped_for_others_when_that_is_confirmed(config, connection, store):
    result = run("reset", "-c", config.path, "--yes")

    assert (result.exit_code, result.stdout.splitlines()) == (
        0,
        [
            "churn: windows of 100; 1 open with 30 scores, 2 closed without a verdict",
            "churn: goes on with windows of 40",
        ],
    )
    attach(connection, 40)


def test_nothing_happens_without_a_yes(config, connection, store):
    result = run("reset", "-c", config.path)

    assert result.exit_code != 0
    assert "Drop them and go on with windows of 40? [y/N]" in result.stdout
    attach(connection, 100)
    assert store.counted(0) == 230


def test_nothing_has_to_be_dropped_of_a_monitor_without_windows(config):
    result = run("reset", "-c", config.path)

    assert (result.exit_code, result.stdout) == (
        0,
        "churn: Redis holds no windows of it; a worker begins with windows of 40\n",
    )


def test_a_redis_that_does_not_answer_is_told(tmp_path):
    (tmp_path / "bundle").mkdir()
    config = deployment(tmp_path, "127.0.0.1:9", "redis://127.0.0.1:9/0")
    result = run("reset", "-c", config.path, "--yes")
    assert result.exit_code == 2
    (complaint,) = complaints(result)
    assert complaint.startswith("Redis: Redis at redis://127.0.0.1:9/0 cannot be used right now")
    assert complaint.endswith("check redis.url.")
