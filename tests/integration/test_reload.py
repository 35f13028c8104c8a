"""A changed config, taken up while events flow: whatever goes on loses and doubles nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.load import Load
from tests.traffic import Account, MonitorState, TinyDetector, first_offsets, since
from tests.workers import WorkerThread, WorkerUnderTest, monitor_config, write_config

WINDOW = 200
PARTITIONS = 2
PORTION = 200


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


def named(base: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """The config with these monitors, each like the first one but for its changes."""
    return {**base, "monitors": [{**base["monitors"][0], **change} for change in changes]}


def test_a_reload_under_load_loses_and_doubles_nothing(
    tiny: TinyDetector, kafka, topic: Callable[..., str], redis_url, tmp_path: Path, caplog
):
    caplog.set_level("INFO")
    topics = {name: topic(name) for name in ("alerts", "rejected")}
    topics["events"] = topic("events", partitions=PARTITIONS)
    second = topic("second", partitions=1)
    base = monitor_config(
        kafka.bootstrap,
        redis_url,
        tiny.path,
        topics,
        window={"size": WINDOW},
        test={"p_val": 0.001},
        worker={"batch_size": 64, "batch_wait_ms": 5, "commit_interval_seconds": 0.2},
    )
    stays: dict[str, Any] = {"name": "stays"}
    changes: dict[str, Any] = {"name": "changes"}
    stricter = {
        **changes,
        "test": {"p_val": 0.0001},
        "alerts": {**base["monitors"][0]["alerts"], "raise_after": 2},
    }
    ends: dict[str, Any] = {"name": "ends", "window": {"size": 20}}
    joins: dict[str, Any] = {"name": "joins", "window": {"size": 250}}
    elsewhere: dict[str, Any] = {"name": "elsewhere", "input": {"topic": second}}
    account, other = Account(), Account()
    with ExitStack() as stack:
        states = {
            name: stack.enter_context(MonitorState(redis_url, name))
            for name in ("stays", "changes", "ends", "joins", "elsewhere", "late")
        }

        def counted(name: str) -> int:
            return sum(states[name].counted().values())

        with Load(tiny, kafka.bootstrap, topics["events"], account, partitions=PARTITIONS, portion=PORTION):
            with WorkerThread(tmp_path, named(base, stays, changes, ends)) as worker:

                def reload(expected: str, *monitors: dict[str, Any]) -> None:
                    caplog.clear()
                    write_config(tmp_path, named(base, *monitors))
                    worker.worker.reload()
                    worker.wait_for(expected, lambda: expected in caplog.text)
                    goal = counted("stays") + 2 * PORTION
                    worker.wait_for("more events", lambda: counted("stays") >= goal)

                worker.wait_for("events", lambda: counted("ends") >= PORTION)
                reload("added joins; 3 go on", stays, changes, ends, joins)
                assert "Monitor 'joins' begins at offset" in caplog.text
                reload("changed changes; removed ends; 2 go on", stays, stricter, joins)
                frozen = counted("ends")
                reload("the one before stays in force: ", stays, stricter, {**joins, "window": {"size": -1}})
                reload("cannot become windows of 50", stays, stricter, {**joins, "window": {"size": 50}})
                reload("has counted topic", stays, stricter, {**joins, "input": {"topic": second}})
                reload("no monitor has changed; 3 go on", stays, stricter, joins)
                reload("added elsewhere; 3 go on", stays, stricter, joins, elsewhere)
                other.send(kafka.bootstrap, second, tiny.calm(2 * WINDOW, seed=1))
                worker.wait_for("the added topic", lambda: counted("elsewhere") == 2 * WINDOW)
                reload("removed elsewhere; 3 go on", stays, stricter, joins)
                assert counted("ends") == frozen

            # A monitor that a restart adds, and one that comes back with it, do not rewind the others.
            again = WorkerUnderTest(tmp_path, named(base, stays, stricter, joins, ends, {"name": "late"}))
            with again.start():
                again.wait_for("the monitor that is new", lambda: counted("late") >= PORTION, seconds=180)
                assert "Monitor 'late' begins at offset" in again.log
                assert "Monitor 'ends' is watched again; offsets" in again.log
                assert "rebuilding" not in again.log
                write_config(tmp_path, named(base, stays, stricter, joins))
                again.process.send_signal(signal.SIGHUP)
                again.wait_for("SIGHUP", lambda: "removed ends, late; 3 go on" in again.log)
                goal = counted("stays") + PORTION
                again.wait_for("more events", lambda: counted("stays") >= goal)
                assert again.stop() == 0

        with WorkerThread(tmp_path, named(base, stays, stricter, joins)) as worker:
            worker.wait_for("all events", lambda: counted("stays") == counted("joins") == len(account.scores))
        for name in ("stays", "changes"):
            account.check(states[name].verdicts(), states[name].left_open())
        starts = first_offsets(states["joins"])
        assert any(start > 0 for start in starts.values())
        since(account, starts).check(states["joins"].verdicts(), states["joins"].left_open())
        other.check(states["elsewhere"].verdicts(), states["elsewhere"].left_open())
        assert {verdict.threshold for verdict in states["changes"].verdicts()} == {0.001, 0.0001}
