"""The monitor in a Faust app: the same verdicts as the worker's, whatever Faust skips, repeats or forgets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import faust
import numpy as np
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from detectors.errors import BundleError
from monitor.faust_plugin import attach
from monitor.faust_plugin.attachment import ATTENTION_SECONDS
from monitor.verdicts.verdict import Verdict
from tests.cli_setup import run
from tests.faust_apps import LONG_SECONDS, SOON, FaustThread, ready_made
from tests.halves import halves_of
from tests.same_verdicts import SEGMENTS, Trial
from tests.servers.ports import free_ports
from tests.traffic import Account, Events, MonitorState, TinyDetector, consume, first_offsets, publish, since
from tests.workers import WorkerThread, monitor_config, wait_until, write_config

COUNT = 5000
HALF = 450


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def topics(topic: Callable[..., str]) -> dict[str, str]:
    names = {name: topic(name) for name in ("alerts", "rejected")}
    return {
        **names,
        "events": topic("events", partitions=2),
        "state": topic("state", cleanup_policy="compact"),
    }


def commit(bootstrap: str, group: str, topic: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})

    def done() -> bool:
        try:
            consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        except KafkaException as error:
            # A broker that has just started is still reading what groups have committed.
            if error.args[0].code() != KafkaError.COORDINATOR_LOAD_IN_PROGRESS:
                raise
            return False
        return True

    wait_until("the commit", done, LONG_SECONDS)
    consumer.close()


def committed(bootstrap: str, group: str, topic: str) -> list[int]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    found = consumer.committed([TopicPartition(topic, number) for number in (0, 1)], timeout=LONG_SECONDS)
    consumer.close()
    return [one.offset for one in found]


@pytest.mark.real_broker
def test_every_way_of_running_gives_the_same_scores_and_verdicts(tiny, kafka, redis_url, topic):
    trial = Trial.prepare(kafka.bootstrap, redis_url, tiny, topic, COUNT)

    by_worker = trial.by_worker()

    assert sum(map(len, by_worker.scores.values())) == COUNT
    assert all({kind for kind, _ in by_worker.alerts[one]} == {"detected", "resolved"} for one in SEGMENTS)
    assert trial.by_faust() == by_worker
    assert trial.by_two_workers() == by_worker
    assert trial.by_backtest().decided == by_worker.decided


@pytest.mark.real_broker
def test_gaps_in_what_faust_acknowledges_neither_lose_nor_double_an_event(
    tiny, kafka, redis_url, topics, tmp_path: Path
):
    """Faust's group is ahead of what was counted; and another agent's topic cannot decode an event."""
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics)
    path = write_config(tmp_path, config)
    account, seen = Account(), []

    def app_with_an_agent() -> faust.App:
        app = faust.App(
            f"{topics['events']}-app",
            broker=f"kafka://{kafka.bootstrap}",
            web_enabled=False,
            datadir=str(tmp_path),
            topic_disable_leader=True,
            **SOON,
        )

        @app.agent(app.topic(topics["events"], value_serializer="json"))
        async def own(stream: Any) -> None:
            async for value in stream:
                seen.append(value)

        attach(app, path)
        return app

    account.send(kafka.bootstrap, topics["events"], tiny.calm(HALF, seed=1), [0] * HALF)
    commit(kafka.bootstrap, f"{topics['events']}-app", topics["events"], 300)
    with MonitorState(redis_url) as state:
        with FaustThread(lambda: app_with_an_agent()) as app:
            app.wait_for("the events passed over", lambda: state.counted().get(0) == HALF)
            publish(kafka.bootstrap, topics["events"], [b"not JSON"], partitions=[0])
            account.send(kafka.bootstrap, topics["events"], tiny.calm(HALF, seed=2), [0] * HALF)
            app.wait_for("the rest", lambda: state.counted().get(0) == 2 * HALF + 1)
            app.wait_for("the verdicts", lambda: len(state.verdicts()) == 2 * HALF // 100)
        account.check(state.verdicts(), state.left_open())
    (rejected,) = consume(kafka.bootstrap, topics["rejected"], 1)
    assert rejected.value() == b"not JSON"
    assert committed(kafka.bootstrap, topics["events"], topics["events"])[0] == 2 * HALF + 1
    # The app's own agent gets what Faust gives it, no less and no more than without the monitor.
    assert 0 < len(seen) <= 2 * HALF - 300


@pytest.mark.real_broker
def test_outage_loss_of_redis_and_rebalances_keep_every_event_in_one_window(
    tiny, kafka, new_redis, topics, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    redis_server = new_redis()
    config = monitor_config(
        kafka.bootstrap,
        redis_server.url,
        tiny.path,
        topics,
        worker={"lease_seconds": 2.0},
        redis={"socket_timeout_seconds": 0.5},
    )
    account = Account()

    def send(seed: int) -> None:
        account.send(
            kafka.bootstrap, topics["events"], tiny.calm(2 * HALF, seed=seed), [0] * HALF + [1] * HALF
        )

    def all_counted() -> bool:
        return sum(state.counted().values()) == len(account.scores)

    send(1)
    with MonitorState(redis_server.url) as state, ready_made(tmp_path / "first", config) as first:
        first.wait_for("the first events", all_counted)
        redis_server.freeze()
        send(2)
        first.wait_for("the outage", lambda: "waiting for it" in caplog.text)
        redis_server.thaw()
        first.wait_for("the events of the outage", all_counted)

        first.wait_for("their verdicts", lambda: len(state.verdicts()) == 4 * HALF // 100)
        before = state.verdicts()
        with redis_server.client() as client:
            client.flushall()
        send(3)
        first.wait_for("the events after the loss", all_counted)

        with ready_made(tmp_path / "second", config) as second:
            second.wait_for("its partition", lambda: second.assigned)
            send(4)
            second.wait_for("what came while both ran", all_counted)
        send(5)
        first.wait_for("what came when the second had left", all_counted)
        last = len(account.scores) // 100
        first.wait_for("the last verdict", lambda: state.verdicts()[-1].sequence == last)
        # The history of settled verdicts went with Redis; the windows go on where they stood.
        verdicts = {verdict.sequence: verdict for verdict in (*before, *state.verdicts())}
        assert sorted(verdicts) == list(range(1, last + 1))
        account.check(list(verdicts.values()), state.left_open())


@pytest.mark.real_broker
def test_a_monitor_that_hangs_holds_up_neither_a_rebalance_nor_the_end(
    tiny, kafka, new_redis, topics, tmp_path: Path
):
    redis_server = new_redis()
    config = monitor_config(
        kafka.bootstrap, redis_server.url, tiny.path, topics, redis={"socket_timeout_seconds": 600}
    )
    account = Account()

    def send(seed: int) -> None:
        account.send(
            kafka.bootstrap, topics["events"], tiny.calm(2 * HALF, seed=seed), [0] * HALF + [1] * HALF
        )

    with MonitorState(redis_server.url) as state:

        def all_counted() -> bool:
            return sum(state.counted().values()) == len(account.scores)

        send(1)
        with ready_made(tmp_path / "first", config) as first:
            first.wait_for("the first events", all_counted)
            redis_server.freeze()
            send(2)
            first.wait_for("events in hand", lambda: len(first.app.consumer.unacked))
            with ready_made(tmp_path / "second", config) as second:
                second.wait_for("its partition", lambda: second.assigned)
            # Faust itself does not end while it is rebalanced.
            first.wait_for("both partitions", lambda: len(first.assigned) == 2 and not first.app.rebalancing)
        redis_server.thaw()
        with WorkerThread(tmp_path / "worker", config) as worker:
            worker.wait_for("what was in hand", all_counted, LONG_SECONDS)
            worker.wait_for("the verdicts", lambda: len(state.verdicts()) == 4 * HALF // 100, LONG_SECONDS)
        account.check(state.verdicts(), state.left_open())


class SlowToRecover(faust.App):
    """As with large tables: its rebalance lasts until the test says so."""

    recovered = False

    def on_rebalance_end(self) -> None:
        if self.recovered:
            super().on_rebalance_end()


@pytest.mark.real_broker
def test_partitions_are_taken_up_after_an_outage_that_a_rebalance_outlasts(
    tiny, kafka, new_redis, topics, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    redis_server = new_redis()
    config = monitor_config(
        kafka.bootstrap, redis_server.url, tiny.path, topics, redis={"socket_timeout_seconds": 0.5}
    )
    path = write_config(tmp_path, config)

    def slow_app() -> faust.App:
        app = SlowToRecover(
            f"{topics['events']}-app",
            broker=f"kafka://{kafka.bootstrap}",
            web_enabled=False,
            datadir=str(tmp_path),
            topic_disable_leader=True,
            **SOON,
        )
        attach(app, path)
        return app

    publish(kafka.bootstrap, topics["events"], tiny.calm(HALF, seed=1).values, partitions=[0] * HALF)
    redis_server.freeze()
    with FaustThread(slow_app) as slow:
        slow.wait_for("the outage", lambda: "waiting for it" in caplog.text)
        # Until the app's state has been looked at while the monitor waited.
        time.sleep(3 * ATTENTION_SECONDS)
        redis_server.thaw()
        with MonitorState(redis_server.url) as state:
            slow.wait_for("the events", lambda: state.counted().get(0) == HALF)
        slow.app.recovered = True


@pytest.mark.real_broker
def test_a_changed_config_is_taken_up_while_events_flow(
    tiny, kafka, redis_url, topics, topic, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO", "monitor")
    second = topic("second")
    base = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, worker={"reload_every_seconds": 0.2})
    (one,) = base["monitors"]
    added = {**one, "name": "added"}
    account = Account()

    def write(*monitors: dict[str, Any]) -> None:
        write_config(tmp_path, {**base, "monitors": [*monitors]})

    def send(seed: int) -> None:
        account.send(
            kafka.bootstrap, topics["events"], tiny.calm(2 * HALF, seed=seed), [0] * HALF + [1] * HALF
        )

    with (
        MonitorState(redis_url) as kept,
        MonitorState(redis_url, "added") as joined,
        ready_made(
            tmp_path, {**base, "monitors": [one, {**one, "name": "ends", "input": {"topic": second}}]}
        ) as app,
    ):

        def all_counted() -> bool:
            return sum(kept.counted().values()) == len(account.scores)

        send(1)
        app.wait_for("the first events", all_counted)
        write(one, added)
        send(2)
        app.wait_for("the added monitor", lambda: "added added; removed ends; 1 go on" in caplog.text)
        send(3)
        app.wait_for(
            "what the added one counts", lambda: sum(joined.counted().values()) == len(account.scores)
        )
        write(one, {**added, "name": "elsewhere", "input": {"topic": topic("third")}})
        app.wait_for("the refusal", lambda: "start it again to read another topic" in caplog.text)
        write(
            one,
            {**added, "alerts": {**one["alerts"], "raise_after": 2}},
            {**one, "name": "back", "input": {"topic": second}},
        )
        app.wait_for(
            "the topic that is watched again", lambda: "added back; changed added; 1 go on" in caplog.text
        )
        send(4)
        publish(kafka.bootstrap, second, tiny.calm(HALF, seed=5).values)
        with MonitorState(redis_url, "back") as back:
            app.wait_for("its events", lambda: sum(back.counted().values()) == HALF)
        app.wait_for("all events", all_counted)
        app.wait_for("the last verdict", lambda: len(kept.verdicts()) == 8 * HALF // 100)
        account.check(kept.verdicts(), kept.left_open())

        def added_account() -> Account:
            starts = first_offsets(joined)
            return since(account, {0: len(account.scores), 1: len(account.scores), **starts})

        app.wait_for(
            "its last verdict", lambda: 0 < len(added_account().scores) // 100 == len(joined.verdicts())
        )
        assert min(first_offsets(joined).values()) >= HALF
        added_account().check(joined.verdicts(), joined.left_open())


@pytest.mark.real_broker
def test_requests_that_no_response_came_for_are_scored_by_the_model(
    tiny, kafka, redis_url, topics, tmp_path: Path
):
    options = {"within_seconds": 0.2, "unpaired": "run"}
    config = monitor_config(
        kafka.bootstrap, redis_url, tiny.path, topics, input={"format": "pairs", "options": options}
    )
    events = tiny.calm(20, seed=1)
    requests = [
        halves_of(f"{number}", x, p)[0]
        for number, (x, p) in enumerate(zip(events.instances, events.predictions, strict=True))
    ]
    publish(
        kafka.bootstrap,
        topics["events"],
        [request.value for request in requests],
        headers=[request.headers for request in requests],
    )
    with MonitorState(redis_url) as state, ready_made(tmp_path, config) as app:

        def scored() -> list[float] | None:
            left = state.left_open()
            return sorted(left.scores.tolist()) if left is not None and len(left.scores) >= 20 else None

        assert app.wait_for("the scores", scored) == pytest.approx(sorted(events.scores.tolist()), rel=1e-3)


@pytest.mark.real_broker
def test_promoted_reference_is_used_from_the_next_batch_on(tiny, kafka, redis_url, topics, tmp_path: Path):
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, test={"p_val": 0.001})
    np.save(tmp_path / "harmful.npy", tiny.harmful(300, seed=1).scores)
    with MonitorState(redis_url) as state, ready_made(tmp_path, config) as app:

        def verdict_on(events: Events) -> Verdict:
            sequence = len(state.verdicts()) + 1
            publish(kafka.bootstrap, topics["events"], events.values, partitions=[0] * len(events))
            app.wait_for(f"verdict {sequence}", lambda: len(state.verdicts()) == sequence)
            return state.verdicts()[-1]

        def reference(command: str, *options: object) -> None:
            result = run("reference", command, "-c", tmp_path / "monitor.yaml", *options)
            assert result.exit_code == 0, result.output

        before = verdict_on(tiny.calm(100, seed=2))
        reference("push", "--file", tmp_path / "harmful.npy", "--promote")
        promoted = verdict_on(tiny.harmful(100, seed=3))
        reference("rollback")
        restored = verdict_on(tiny.harmful(100, seed=4))

    assert [one.drift for one in (before, promoted, restored)] == [False, False, True]
    assert before.reference == restored.reference != promoted.reference


@pytest.mark.real_broker
def test_ready_made_app_says_in_a_sentence_that_kafka_or_the_bundle_is_not_there(
    tiny, kafka, redis_url, topics, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (port,) = free_ports(1)
    nowhere = tmp_path / "nowhere"

    def end_of(bootstrap: str, bundle: Path) -> BaseException:
        with ready_made(tmp_path, monitor_config(bootstrap, redis_url, bundle, topics)) as app:
            return wait_until("the end of the app", lambda: app.error, LONG_SECONDS)

    without_kafka = end_of(f"127.0.0.1:{port}", tiny.path)
    assert isinstance(without_kafka, SystemExit)
    assert f"drift-monitor: Kafka: Kafka at 127.0.0.1:{port} cannot be reached" in str(without_kafka)

    assert isinstance(end_of(kafka.bootstrap, nowhere), BundleError)
    assert f"The monitor has stopped: There is no detector bundle at {nowhere}" in caplog.text
    # Faust's own threads may have something to tell of how they ended.
    assert not [one for one in caplog.records if one.exc_info and isinstance(one.exc_info[1], BundleError)]


def faust_worker(*options: object) -> list[str]:
    return [sys.executable, "-m", "faust", "-A", "monitor.faust_app", "worker", *map(str, options)]


@pytest.mark.real_broker
def test_ready_made_app_shows_where_the_monitor_stands_and_ends_on_sigterm(
    tiny, kafka, redis_url, topics, tmp_path: Path
):
    config = write_config(tmp_path, monitor_config(kafka.bootstrap, redis_url, tiny.path, topics))
    publish(kafka.bootstrap, topics["events"], tiny.harmful(250, seed=1).values, partitions=[0] * 250)
    (port,) = free_ports(1)

    def segments() -> Any:
        try:
            with urlopen(f"http://127.0.0.1:{port}/drift-monitor/", timeout=5) as answer:
                (monitor,) = json.load(answer)["monitors"]
        except URLError:
            return None
        return [one for one in monitor["segments"] if one["last"] and one["last"]["sequence"] == 2]

    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            faust_worker("--web-port", port),
            env={**os.environ, "DRIFT_MONITOR_CONFIG": str(config)},
            stdout=output,
            stderr=output,
        )
    try:
        (segment,) = wait_until(
            "the second verdict",
            segments,
            LONG_SECONDS,
            lambda: process.poll() is None or pytest.fail(log.read_text()),
        )
        assert (segment["segment"], segment["state"], segment["open"]) == ("all", "drift", 50)
        process.terminate()
        assert process.wait(LONG_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
    assert "Traceback" not in log.read_text()
    assert committed(kafka.bootstrap, topics["events"], topics["events"])[0] == 250


def test_wrong_config_of_the_ready_made_app_is_told_in_a_sentence(tmp_path: Path):
    config = tmp_path / "monitor.yaml"
    config.write_text("kafka: {}\n")

    done = subprocess.run(
        faust_worker(),
        env={**os.environ, "DRIFT_MONITOR_CONFIG": str(config)},
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert f"drift-monitor: {config}" in done.stderr
    assert "Traceback" not in done.stderr
