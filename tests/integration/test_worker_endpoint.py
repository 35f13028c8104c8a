"""What a running worker tells of itself over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.promtool import promtool
from tests.servers.ports import free_ports
from tests.traffic import TinyDetector, publish
from tests.workers import WorkerThread, monitor_config

WINDOW = 50
N_CALM, N_HARMFUL, N_BROKEN = 120, 100, 3


class Probe:
    """Asks a worker's endpoint."""

    def __init__(self, worker: WorkerThread, port: int) -> None:
        self.worker = worker
        self._root = f"http://127.0.0.1:{port}"

    def get(self, path: str, accept: str = "*/*") -> tuple[int, bytes, str]:
        try:
            with urlopen(Request(self._root + path, headers={"Accept": accept}), timeout=10) as response:
                return response.status, response.read(), response.headers["Content-Type"]
        except HTTPError as error:
            return error.code, error.read(), error.headers["Content-Type"]

    def ready(self) -> tuple[int, list[str]]:
        status, body, _ = self.get("/readyz")
        answer = json.loads(body)
        assert answer["ready"] == (status == 200)
        return status, answer["reasons"]

    def is_ready(self) -> bool:
        try:
            return self.ready()[0] == 200
        except URLError:
            return False

    def families(self) -> dict[str, Metric]:
        status, body, content_type = self.get("/metrics")
        assert (status, content_type.split(";")[0]) == (200, "text/plain")
        return {family.name: family for family in text_string_to_metric_families(body.decode())}

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Values of one sample by the values of its labels in alphabetical order."""
        return {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for family in self.families().values()
            for sample in family.samples
            if sample.name == name
        }

    def value(self, name: str, *labels: str) -> float | None:
        return self.values(name).get(labels)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def topics(topic: Callable[..., str]) -> dict[str, str]:
    return {name: topic(name, partitions=None) for name in ("events", "alerts", "rejected")}


@pytest.fixture
def start(tiny, kafka, topics, tmp_path: Path) -> Iterator[Callable[..., Probe]]:
    """Start a worker with an endpoint, and await that it is ready."""
    started: list[WorkerThread] = []

    def begin(redis_url: str, http: dict[str, Any] | None = None, **changes: Any) -> Probe:
        port = free_ports(1)[0]
        config = monitor_config(
            kafka.bootstrap,
            redis_url,
            tiny.path,
            topics,
            worker={"commit_interval_seconds": 0.1, "http": {"port": port, **(http or {})}},
            window={"size": WINDOW},
            **changes,
        )
        worker = WorkerThread(tmp_path, config)
        started.append(worker.start())
        probe = Probe(worker, port)
        worker.wait_for("readiness", probe.is_ready)
        return probe

    yield begin
    for worker in started:
        worker.stop()


def test_it_tells_what_it_has_done(start, tiny, kafka, redis_url, topics) -> None:
    probe = start(redis_url)
    calm, harmful = tiny.calm(N_CALM, seed=1), tiny.harmful(N_HARMFUL, seed=2)
    values = [*calm.values, *harmful.values, *[b"{"] * N_BROKEN]
    publish(kafka.bootstrap, topics["events"], values, partitions=[0] * len(values))
    probe.worker.wait_for(
        "the fourth verdict", lambda: sum(probe.values("drift_monitor_windows_total").values()) == 4
    )
    probe.worker.wait_for("settlement", lambda: probe.value("drift_monitor_unsettled_verdicts") == 0)

    assert probe.value("drift_monitor_events_total", topics["events"]) == len(values)
    assert probe.value("drift_monitor_rejected_events_total", "undecodable", topics["events"]) == N_BROKEN
    scores = [*calm.scores, *harmful.scores]
    assert probe.value("drift_monitor_score_count", "m") == len(scores)
    assert probe.value("drift_monitor_score_sum", "m") == pytest.approx(sum(scores), rel=1e-5)
    assert probe.value("drift_monitor_flagged_instances_total", "m") == sum(score > 0.5 for score in scores)
    assert probe.value("drift_monitor_windows_total", "m", "drift") == 2
    assert probe.value("drift_monitor_windows_total", "m", "clean") == 2
    assert probe.value("drift_monitor_alerts_total", "detected", "m") == 1
    assert probe.value("drift_monitor_batch_seconds_count") >= 1
    assert {stage for (stage,) in probe.values("drift_monitor_stage_seconds_count")} >= {
        "decode",
        "model",
        "redis",
    }
    assert probe.value("drift_monitor_lag_offsets", "0", topics["events"]) == 0
    assert probe.value("drift_monitor_lag_seconds", "0", topics["events"]) == 0
    assert probe.value("drift_monitor_assigned_partitions") == len(probe.values("drift_monitor_lag_offsets"))
    assert probe.value("drift_monitor_kafka_up") == probe.value("drift_monitor_redis_up") == 1

    probe.worker.wait_for("the state", lambda: probe.value("drift_monitor_state", "m", "all") == 2)
    assert probe.values("drift_monitor_segments") == {
        ("m", "drift"): 1,
        ("m", "normal"): 0,
        ("m", "pending"): 0,
    }
    assert probe.value("drift_monitor_p_value", "m", "all") < probe.value(
        "drift_monitor_threshold", "m", "all"
    )
    assert 0 < probe.value("drift_monitor_statistic", "m", "all") <= 1
    assert probe.value("drift_monitor_window_scores", "m", "all") == len(scores) % WINDOW
    assert 0 < probe.value("drift_monitor_window_age_seconds", "m", "all") < 60
    assert probe.value("drift_monitor_awaiting_windows", "m") == 0


def test_prometheus_accepts_it(start, redis_url) -> None:
    probe = start(redis_url)
    _, text, _ = probe.get("/metrics")
    assert promtool("check", "metrics", given=text) == ""
    _, text, content_type = probe.get("/metrics", accept="application/openmetrics-text;version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert "drift_monitor_events" in {family.name for family in read_openmetrics(text.decode())}


def test_segments_beyond_the_limit_are_told_in_sum(start, tiny, kafka, redis_url, topics) -> None:
    probe = start(redis_url, http={"max_segments": 1}, segment_by="key")
    events = tiny.calm(2 * WINDOW, seed=3)
    publish(
        kafka.bootstrap,
        topics["events"],
        events.values,
        keys=[b"eu"] * WINDOW + [b"us"] * WINDOW,
        partitions=[0] * len(events),
    )
    probe.worker.wait_for("both verdicts", lambda: probe.value("drift_monitor_segments", "m", "normal") == 2)
    assert probe.values("drift_monitor_state") == probe.values("drift_monitor_p_value") == {}
    assert probe.value("drift_monitor_awaiting_windows", "m") == 0


def test_while_redis_is_away_it_is_healthy_but_not_ready(start, new_redis, tiny, kafka, topics) -> None:
    server = new_redis({"appendonly": "yes"})
    probe = start(server.url)
    publish(kafka.bootstrap, topics["events"], tiny.calm(5, seed=4).values, partitions=[0] * 5)
    probe.worker.wait_for(
        "the first events", lambda: probe.value("drift_monitor_events_total", topics["events"])
    )
    server.stop()
    publish(kafka.bootstrap, topics["events"], tiny.calm(7, seed=5).values, partitions=[0] * 7)
    probe.worker.wait_for("the outage", lambda: probe.value("drift_monitor_waiting") == 1)
    status, reasons = probe.ready()
    assert status == 503
    assert any("Redis" in reason for reason in reasons)
    assert probe.get("/healthz")[0] == 200
    assert probe.value("drift_monitor_redis_up") == 0
    assert probe.value("drift_monitor_redis_errors_total") >= 1
    assert probe.value("drift_monitor_lag_offsets", "0", topics["events"]) == 7
    assert probe.value("drift_monitor_lag_seconds", "0", topics["events"]) > 0
    assert probe.value("drift_monitor_state", "m", "all") is None

    server.start()
    probe.worker.wait_for("readiness", probe.is_ready)
    probe.worker.wait_for(
        "the rest", lambda: probe.value("drift_monitor_lag_offsets", "0", topics["events"]) == 0
    )
    assert probe.value("drift_monitor_waiting") == 0


def test_a_loop_that_stands_still_is_unhealthy(start, redis_url, monkeypatch) -> None:
    probe = start(redis_url)
    monkeypatch.setattr("monitor.metrics.pulse.STUCK_AFTER_SECONDS", 0.0)
    status, body, _ = probe.get("/healthz")
    assert status == 503
    assert "has not turned" in json.loads(body)["reasons"][0]


def test_there_is_nothing_else(start, redis_url) -> None:
    assert start(redis_url).get("/")[0] == 404
