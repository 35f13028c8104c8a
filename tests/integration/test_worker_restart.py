"""Workers that are stopped, killed, or meet a state that is wrong: what the next one finds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from streams.errors import StateError
from tests.traffic import Account, MonitorState, TinyDetector, publish
from tests.workers import WorkerThread, WorkerUnderTest, monitor_config, wait_for_verdicts

WINDOW = 100
KILLS = 3

SOON = {
    # A killed member is missed after this long; brokers allow no less by default.
    "kafka": {"session.timeout.ms": 6000, "heartbeat.interval.ms": 1000},
    # Small batches, so that a worker can be caught between them.
    "worker": {"batch_size": 100, "lease_seconds": 2.0},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def topics(topic: Callable[..., str]) -> dict[str, str]:
    return {name: topic(name) for name in ("events", "alerts", "rejected")}


def assert_undisturbed(account: Account, state: MonitorState, windows: int) -> None:
    """Fail unless the windows of partition 0 are those of a worker that was never disturbed."""
    verdicts = state.verdicts()
    assert [verdict.sequence for verdict in verdicts] == list(range(1, windows + 1))
    assert [verdict.offsets for verdict in verdicts] == [
        {0: (start, start + WINDOW - 1)} for start in range(0, windows * WINDOW, WINDOW)
    ]
    account.check(verdicts, state.left_open())


def test_sigterm_keeps_the_open_window_and_the_next_worker_goes_on_in_it(
    tiny: TinyDetector, kafka, redis_url, topics, tmp_path: Path
):
    """Stopped once while idle and once amid a backlog."""
    account = Account()

    def send(n: int, seed: int) -> None:
        account.send(kafka.bootstrap, topics["events"], tiny.calm(n, seed=seed), [0] * n)

    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, worker=SOON["worker"])
    send(3 * WINDOW + 50, seed=1)
    with WorkerUnderTest(tmp_path, config) as worker, MonitorState(redis_url) as state:
        worker.start()
        wait_for_verdicts(worker, redis_url, "m", 3)
        worker.wait_for("the open window", lambda: (w := state.left_open()) and len(w.scores) == 50)
        assert stop_seconds(worker) < 10
        assert len(state.left_open().scores) == 50
        assert_undisturbed(account, state, 3)
        assert committed(kafka.bootstrap, topics["events"]) == 3 * WINDOW + 50, worker.log

        send(20_000, seed=2)
        worker.start()
        worker.wait_for("a part of the backlog", lambda: state.counted()[0] > 4000)
        assert stop_seconds(worker) < 10
        reached = state.counted()[0]
        assert reached < len(account.scores), "the worker was through before it was stopped"
        assert committed(kafka.bootstrap, topics["events"]) == reached

        finish(tmp_path / "last", config, redis_url, windows=203)
        assert len(state.left_open().scores) == 50
        assert_undisturbed(account, state, 203)
    assert "Traceback" not in worker.log
    assert "Kafka does not answer" not in worker.log
    assert worker.log.count("Stopped.") == 2


def committed(bootstrap: str, topic: str) -> int:
    """The offset that the worker's group has committed, which is what consumer lag is told by."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic})
    try:
        (found,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
    finally:
        consumer.close()
    return int(found.offset)


def finish(directory: Path, config: dict[str, Any], redis_url: str, windows: int) -> None:
    """Let another worker count what is left."""
    with WorkerThread(directory, config) as last:
        wait_for_verdicts(last, redis_url, "m", windows)


def stop_seconds(worker: WorkerUnderTest) -> float:
    started = time.monotonic()
    assert worker.stop() == 0
    return time.monotonic() - started


@pytest.mark.slow
def test_sigkill_at_any_moment_neither_loses_nor_doubles_an_event(
    tiny: TinyDetector, kafka, redis_url, topics, tmp_path: Path
):
    rng = random.Random(5)
    windows = 300
    account = Account()
    account.send(
        kafka.bootstrap,
        topics["events"],
        tiny.calm(windows * WINDOW + 30, seed=3),
        [0] * (windows * WINDOW + 30),
    )
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, **SOON)
    with WorkerUnderTest(tmp_path, config) as worker, MonitorState(redis_url) as state:
        for kill in range(KILLS):
            least = kill * 8000 + rng.randrange(1, 6000)
            worker.start()
            worker.wait_for(f"{least} events", lambda: (state.counted().get(0, 0)) >= least)  # noqa: B023
            time.sleep(rng.uniform(0, 0.02))
            worker.kill()
            assert state.counted()[0] < len(account.scores), "the worker was through before it was killed"
        finish(tmp_path / "last", config, redis_url, windows)
        assert_undisturbed(account, state, windows)
    assert "Traceback" not in worker.log


def test_state_that_is_wrong_ends_the_worker_with_one_sentence(
    tiny: TinyDetector, kafka, redis_url, redis_client: redis.Redis, topics, tmp_path: Path
):
    """What somebody else wrote into a running worker's keys is not worked around."""
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics)
    publish(kafka.bootstrap, topics["events"], tiny.calm(WINDOW, seed=4).values)
    with WorkerUnderTest(tmp_path, config) as worker, MonitorState(redis_url) as state:
        worker.start()
        wait_for_verdicts(worker, redis_url, "m", 1)
        redis_client.set(state.keys.reference, "sha256:0")
        publish(kafka.bootstrap, topics["events"], tiny.calm(WINDOW, seed=5).values)
        assert worker.process.wait(20) == 1

    assert "Traceback" not in worker.log
    assert worker.log.splitlines()[-1] == "drift-monitor: Monitor 'm' has no reference sha256:0 in Redis."
    assert worker.log.count("drift-monitor: ") == 1


def test_open_window_that_cannot_be_read_is_not_overwritten(
    tiny: TinyDetector, kafka, redis_url, redis_client: redis.Redis, topics, tmp_path: Path
):
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics)
    publish(kafka.bootstrap, topics["events"], tiny.calm(WINDOW // 2, seed=6).values)
    worker = WorkerThread(tmp_path, config).start()
    with MonitorState(redis_url) as state:
        worker.wait_for("the open window", lambda: state.left_open() is not None)
        redis_client.hset(state.keys.open, "all", "not a window")
        publish(kafka.bootstrap, topics["events"], tiny.calm(10, seed=7).values)

        with pytest.raises(StateError, match="An open window in Redis cannot be read: b'not a window'"):
            worker.join(20)

        assert redis_client.hget(state.keys.open, "all") == b"not a window"
