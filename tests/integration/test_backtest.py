"""A backtest gives the verdicts that the running worker gave, to the bit, and leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from monitor.alerts.alert import rfc3339
from monitor.verdicts.verdict import Verdict
from tests.cli_setup import run
from tests.traffic import MonitorState, TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config, write_config

BEGIN_MS = 1_763_640_000_000
N = 3000
SEGMENTS = ("eu", "us", "asia")
PARTITIONS = 4

MONITORS: dict[str, dict[str, Any]] = {
    "segments": {"segment_by": "field", "window": {"size": 40}, "test": {"p_val": 0.01}},
    "sliding": {"window": {"size": 100, "hop": 20}, "test": {"expected_run_time": 200}},
    "discoveries": {"window": {"size": 50}, "test": {"fdr": 0.1}},
    "fewer-flags": {"window": {"size": 60}, "test": {"name": "flagged_fraction", "p_val": 0.05}},
}


@dataclass
class Watched:
    """What a worker made of the events of two topics."""

    config: Path
    values: list[bytes]
    topics: dict[str, str]
    verdicts: dict[tuple[str, str], list[Verdict]]


def events(tiny: TinyDetector) -> list[bytes]:
    """Calm events, harmful ones, calm ones; with ids, times, segments, and a few that are rejected."""
    parts = [tiny.calm(1700, seed=1), tiny.harmful(300, seed=2), tiny.calm(1000, seed=3)]
    found = []
    for row, value in enumerate(value for part in parts for value in part.values):
        event = {**json.loads(value), "id": f"e{row}", "segment": SEGMENTS[row * row % 3]}
        event["time"] = rfc3339(BEGIN_MS + 250 * row)
        if row % 500 == 7:
            event["prediction"] = [3, 4]
        found.append(json.dumps(event).encode())
    return found


@pytest.fixture
def watched(kafka, topic: Callable[..., str], redis_url: str, tmp_path: Path) -> Watched:
    tiny = TinyDetector(tmp_path / "tiny")
    topics = {name: topic(name) for name in ("events", "alerts", "rejected")}
    topics["keyed"] = topic("keyed", partitions=PARTITIONS)
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, worker={"batch_size": 97})
    (base,) = config["monitors"]
    alerts = {**base["alerts"], "raise_after": 2, "resolve_after": 3}
    config["monitors"] = [
        {**base, "name": name, "alerts": alerts, **changes} for name, changes in MONITORS.items()
    ]
    keyed = {"name": "keyed", "input": {"topic": topics["keyed"]}, "segment_by": "key"}
    config["monitors"].append({**base, **keyed, "window": {"size": 30}, "test": {"p_val": 0.01}})
    values = events(tiny)
    keys = [f"k{row * 7 % 9}".encode() for row in range(N)]
    publish(kafka.bootstrap, topics["events"], values, partitions=[0] * N)
    publish(
        kafka.bootstrap,
        topics["keyed"],
        values,
        keys=keys,
        partitions=[int(key[1:]) % PARTITIONS for key in keys],
    )
    with WorkerThread(tmp_path / "worker", config) as worker:

        def verdicts() -> dict[tuple[str, str], list[Verdict]] | None:
            found = {}
            for name in [*MONITORS, "keyed"]:
                with MonitorState(redis_url, name) as state, state.connection.client() as client:
                    if sum(state.counted().values()) < N or client.hlen(state.keys.closed):
                        return None
                    found |= {(name, segment): state.verdicts(segment) for segment in state.segments()}
            return found

        judged = worker.wait_for("the last verdict", verdicts)
    return Watched(worker.config, values, topics, judged)


def told(verdict: Verdict) -> dict[str, Any]:
    """A verdict as the table tells it."""
    return {
        "sequence": verdict.sequence,
        "size": verdict.size,
        "start_time": rfc3339(verdict.start_ms),
        "end_time": rfc3339(verdict.end_ms),
        "statistic": verdict.statistic,
        "p_value": verdict.p_value,
        "threshold": verdict.threshold,
        "drift": verdict.drift,
        "mean": verdict.mean,
        "max": verdict.max,
        "flagged_fraction": verdict.flagged_fraction,
        "offsets": [[partition, *span] for partition, span in sorted(verdict.offsets.items())],
        "reference": verdict.reference,
    }


def alert(event: dict[str, Any]) -> tuple[str, str, int, str]:
    """An alert as the table tells it: monitor, segment, window and kind."""
    sequence = event["data"]["window"]["sequence"]
    return event["data"]["monitor"], event["subject"], sequence, event["type"].split(".")[2]


def backtest(*arguments: object, output: Path) -> list[dict[str, Any]]:
    result = run("backtest", *arguments, "-o", output)
    assert result.exit_code == 0, result.stderr
    return json.loads(output.read_text())


def test_topic_that_is_not_there(kafka, tmp_path: Path, redis_url: str) -> None:
    topics = {name: f"nobody-made-{name}" for name in ("events", "alerts", "rejected")}
    config = write_config(tmp_path, monitor_config(kafka.bootstrap, redis_url, tmp_path, topics))
    for option, where, what in (
        ([], "monitors[0].input.topic", "create it, or run 'drift-monitor check --create-topics'"),
        (["--topic", "elsewhere"], "--topic", "create it, or name one that does"),
    ):
        result = run("backtest", "-c", config, *option)
        assert result.exit_code == 2
        assert f"does not exist ({where}); {what}." in result.stderr


def test_same_verdicts_as_the_worker_to_the_bit(
    watched: Watched, kafka, redis_client: redis.Redis, tmp_path
) -> None:
    def everything() -> dict[bytes, Any]:
        return {key: redis_client.dump(key) for key in redis_client.keys("*")}

    before = everything()
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(watched.values))
    events, keyed = watched.topics["events"], watched.topics["keyed"]
    of_file = backtest(file, "-c", watched.config, "--topic", events, output=tmp_path / "file.json")
    of_topic = backtest("-c", watched.config, "--topic", events, output=tmp_path / "topic.json")
    of_keyed = backtest("-c", watched.config, "--topic", keyed, output=tmp_path / "keyed.json")

    assert of_file == of_topic
    rows = of_topic + of_keyed
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["monitor"], row["segment"]), []).append(row)
    counts = {monitor: len(of_all) for (monitor, segment), of_all in found.items() if segment == "all"}
    assert counts == {"sliding": 145, "discoveries": 59, "fewer-flags": 49}
    assert found.keys() == {place for place, verdicts in watched.verdicts.items() if verdicts}
    for place, verdicts in watched.verdicts.items():
        expected = [told(verdict) for verdict in verdicts]
        assert [{name: row[name] for name in expected[0]} for row in found[place]] == expected
    alerts = {(r["monitor"], r["segment"], r["sequence"], r["alert"]) for r in rows if r["alert"]}
    sent = consume(kafka.bootstrap, watched.topics["alerts"], len(alerts), extra=0.3)
    assert alerts == {alert(json.loads(message.value())) for message in sent}
    assert {kind for *_, kind in alerts} == {"detected", "resolved"}
    assert everything() == before
