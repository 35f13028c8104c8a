"""Redis and Kafka go away, hang or forget while a worker runs: it goes on by itself and loses nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from monitor.verdicts.verdict import Verdict
from tests.traffic import Account, MonitorState, TinyDetector
from tests.workers import WorkerThread, monitor_config, wait_for_verdicts

pytestmark = pytest.mark.slow

WINDOW = 100
PORTION = 90
"""Not a divisor of the window, so that a window is open at almost any moment."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def topics(topic: Callable[..., str]) -> dict[str, str]:
    return {name: topic(name) for name in ("events", "alerts", "rejected")}


@pytest.fixture(autouse=True)
def no_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """An outage is a matter of warnings: an error or a traceback in the log fails the test.

    What librdkafka says itself of a connection that it cannot make is let pass.
    """
    caplog.set_level(logging.INFO)
    yield
    errors = [
        r
        for r in caplog.records
        if r.exc_info or (r.levelno >= logging.ERROR and "[rdkafka#" not in r.getMessage())
    ]
    assert not errors, [record.getMessage() for record in errors]


class Stream:
    """Events that keep coming from a thread, in portions."""

    def __init__(self, tiny: TinyDetector, bootstrap: str, topic: str) -> None:
        self._tiny, self._bootstrap, self._topic = tiny, bootstrap, topic
        self.account = Account()

    def send(self, n: int = PORTION) -> None:
        """Publish more events; returns when the broker has them."""
        events = self._tiny.calm(n, seed=len(self.account.scores))
        self.account.send(self._bootstrap, self._topic, events, [0] * n)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Send portion after portion while the block runs."""
        ending = threading.Event()

        def run() -> None:
            while not ending.wait(0.05):
                self.send()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(60)


def wait_until_all_is_counted(worker: WorkerThread, stream: Stream, redis_url: str) -> None:
    """Await that every event is counted and every full window has its verdict."""
    total = len(stream.account.scores)
    with MonitorState(redis_url) as state:
        worker.wait_for("all events", lambda: state.counted().get(0) == total)
    wait_for_verdicts(worker, redis_url, "m", total // WINDOW)


def is_waiting(log: str) -> bool:
    """Whether the last that the worker said of an outage is that it has begun."""
    return log.rfind("waiting for it") > log.rfind("It is back")


def check_all(stream: Stream, redis_url: str) -> None:
    with MonitorState(redis_url) as state:
        verdicts = state.verdicts()
        assert [verdict.sequence for verdict in verdicts] == list(range(1, len(verdicts) + 1))
        stream.account.check(verdicts, state.left_open())


def test_redis_that_is_restarted_is_waited_for(tiny, kafka, topics, new_redis, tmp_path: Path, caplog):
    server = new_redis({"appendonly": "yes"})
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(kafka.bootstrap, server.url, tiny.path, topics)
    with WorkerThread(tmp_path, config) as worker:
        with stream.flowing():
            wait_for_verdicts(worker, server.url, "m", 3)
            server.stop()
            worker.wait_for("a warning", lambda: "waiting for it" in caplog.text)
            server.start()
            wait_for_verdicts(worker, server.url, "m", 8)
        wait_until_all_is_counted(worker, stream, server.url)

    check_all(stream, server.url)
    assert caplog.text.count("cannot be used right now") == 1
    assert "It is back; going on." in caplog.text


def test_redis_that_crashes_and_has_written_everything_loses_nothing(
    tiny, kafka, topics, new_redis, tmp_path: Path
):
    server = new_redis({"appendonly": "yes", "appendfsync": "always"})
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(kafka.bootstrap, server.url, tiny.path, topics)
    with WorkerThread(tmp_path, config) as worker:
        with stream.flowing():
            for verdicts in (3, 8, 13):
                wait_for_verdicts(worker, server.url, "m", verdicts)
                server.kill()
                server.start()
        wait_until_all_is_counted(worker, stream, server.url)

    check_all(stream, server.url)


def test_redis_that_hangs_is_waited_for(tiny, kafka, topics, new_redis, tmp_path: Path, caplog):
    """A call that timed out may have been carried out all the same; its repeat counts nothing twice."""
    server = new_redis()
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(
        kafka.bootstrap,
        server.url,
        tiny.path,
        topics,
        redis={"socket_timeout_seconds": 0.3},
        worker={"lease_seconds": 1.0},
    )
    with WorkerThread(tmp_path, config) as worker:
        with stream.flowing():
            for verdicts in (3, 8, 13):
                wait_for_verdicts(worker, server.url, "m", verdicts)
                server.freeze()
                worker.wait_for("a warning", lambda: is_waiting(caplog.text))
                server.thaw()
        wait_until_all_is_counted(worker, stream, server.url)

    check_all(stream, server.url)


def test_worker_stops_within_seconds_though_redis_hangs(
    tiny, kafka, topics, new_redis, tmp_path: Path, caplog
):
    server = new_redis()
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(kafka.bootstrap, server.url, tiny.path, topics, worker={"lease_seconds": 2.0})
    with WorkerThread(tmp_path / "first", config) as worker:
        stream.send(250)
        wait_for_verdicts(worker, server.url, "m", 2)
        server.freeze()
        stream.send(250)
        worker.wait_for("a warning", lambda: is_waiting(caplog.text))
        started = time.monotonic()
        worker.stop()
        assert time.monotonic() - started < 10
    server.thaw()

    with WorkerThread(tmp_path / "second", config) as worker:
        wait_until_all_is_counted(worker, stream, server.url)
    check_all(stream, server.url)


@pytest.mark.real_broker
def test_broker_that_is_restarted_is_waited_for(tiny, new_kafka, redis_url, tmp_path: Path, caplog):
    """And one that is gone for good does not keep the worker from stopping; few lines tell of either."""
    broker = new_kafka()
    topics = {name: name for name in ("events", "alerts", "rejected")}
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for created in admin.create_topics([NewTopic(name, 1) for name in topics]).values():
        created.result(30)
    stream = Stream(tiny, broker.bootstrap, topics["events"])
    config = monitor_config(broker.bootstrap, redis_url, tiny.path, topics, test={"p_val": 0.001})
    with WorkerThread(tmp_path, config) as worker:
        with stream.flowing():
            wait_for_verdicts(worker, redis_url, "m", 3)
            broker.restart()
            reached = len(stream.account.scores) // WINDOW
            wait_for_verdicts(worker, redis_url, "m", reached + 3)
        wait_until_all_is_counted(worker, stream, redis_url)
        check_all(stream, redis_url)
        broker.stop()
        started = time.monotonic()
        worker.stop()
        assert time.monotonic() - started < 10
    said = [text for text in caplog.messages if "[rdkafka#" in text and "Connection refused" in text]
    assert len(said) < 10, said


def test_redis_that_forgets_everything_is_rebuilt_from_kafka(
    tiny, kafka, topics, new_redis, tmp_path: Path, caplog
):
    """What had a verdict keeps it; all that was in open windows is read again."""
    server = new_redis()
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(kafka.bootstrap, server.url, tiny.path, topics)
    with (
        WorkerThread(tmp_path, config) as worker,
        server.client() as client,
        MonitorState(server.url) as state,
    ):
        stream.send(7 * WINDOW + 50)
        wait_until_all_is_counted(worker, stream, server.url)
        before = state.verdicts()
        epoch = client.hget(state.keys.progress, "epoch")
        client.flushall()
        worker.wait_for("recovery", lambda: client.hget(state.keys.progress, "epoch") not in (None, epoch))
        with stream.flowing():
            wait_for_verdicts(worker, server.url, "m", 3)
        total = len(stream.account.scores)
        worker.wait_for("all events", lambda: state.counted().get(0) == total)
        wait_for_verdicts(worker, server.url, "m", total // WINDOW - 7)
        after = state.verdicts()
        left_open = state.left_open()

    assert [verdict.sequence for verdict in after] == list(range(1, len(after) + 1))
    assert after[0].offsets == {0: (7 * WINDOW, 8 * WINDOW - 1)}
    stream.account.check([*before, *after], left_open)
    assert "lost" in caplog.text


def test_redis_that_forgets_amid_a_backlog_loses_no_event(tiny, kafka, topics, new_redis, tmp_path: Path):
    """Flushed while windows close: those without a stored verdict are judged again, none is skipped."""
    server = new_redis()
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(
        kafka.bootstrap,
        server.url,
        tiny.path,
        topics,
        worker={"batch_size": 70, "commit_interval_seconds": 0.2},
    )
    stream.send(200 * WINDOW)
    with (
        WorkerThread(tmp_path, config) as worker,
        server.client() as client,
        MonitorState(server.url) as state,
    ):
        wait_for_verdicts(worker, server.url, "m", 20)
        pipe = client.pipeline(transaction=True)
        pipe.lrange(state.keys.verdicts("all"), 0, -1)
        pipe.flushall()
        stored = pipe.execute()[0]
        total = len(stream.account.scores)
        worker.wait_for("all events", lambda: state.counted().get(0) == total)
        worker.wait_for(
            "the last verdict", lambda: (v := state.verdicts()) and v[-1].offsets[0][1] >= total - WINDOW
        )
        after = state.verdicts()
        left_open = state.left_open()

    before = [Verdict.decode(raw) for raw in reversed(stored)]
    first = after[0].offsets[0][0]
    assert 0 < first <= before[-1].offsets[0][1] + 1
    assert after[0].sequence == 1
    rest = Account({place: score for place, score in stream.account.scores.items() if place[1] >= first})
    rest.check(after, left_open)
    stream.account.check([v for v in before if v.offsets[0][1] < first] + after, left_open)


def test_redis_that_forgets_amid_a_backlog_gets_back_the_same_windows_from_the_state_topic(
    tiny, kafka, topic, topics, new_redis, tmp_path: Path
):
    """Sequences go on, and every window holds what it would have held."""
    topics["state"] = topic("state")
    server = new_redis()
    stream = Stream(tiny, kafka.bootstrap, topics["events"])
    config = monitor_config(
        kafka.bootstrap,
        server.url,
        tiny.path,
        topics,
        worker={"batch_size": 70, "commit_interval_seconds": 0.2},
    )
    stream.send(200 * WINDOW + 50)
    with (
        WorkerThread(tmp_path, config) as worker,
        server.client() as client,
        MonitorState(server.url) as state,
    ):
        wait_for_verdicts(worker, server.url, "m", 20)
        client.flushall()
        worker.wait_for("the last verdict", lambda: (v := state.verdicts()) and v[-1].sequence >= 200)
        verdicts = state.verdicts()
        left_open = state.left_open()

    first = verdicts[0].sequence
    assert first > 20
    assert [verdict.sequence for verdict in verdicts] == list(range(first, 201))
    assert [verdict.offsets for verdict in verdicts] == [
        {0: ((sequence - 1) * WINDOW, sequence * WINDOW - 1)} for sequence in range(first, 201)
    ]
    rest = Account(
        {place: score for place, score in stream.account.scores.items() if place[1] >= (first - 1) * WINDOW}
    )
    rest.check(verdicts, left_open)
