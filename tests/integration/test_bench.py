"""``drift-monitor bench`` on a real Kafka and Redis: what it tells, and that it leaves nothing behind."""

from __future__ import annotations

import json

import pytest
import redis
from confluent_kafka.admin import AdminClient

from monitor.bench.deployment import NAME, CountedOffsets, temporary_deployment
from monitor.config.file import load_config
from tests.cli_setup import deployment, run, write_bundle

pytestmark = pytest.mark.real_broker


def traces(bootstrap):
    """Topics and groups of any benchmark."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    groups = admin.list_consumer_groups(request_timeout=30).result().valid
    return [
        name
        for name in [*admin.list_topics(timeout=30).topics, *(group.group_id for group in groups)]
        if name.startswith(NAME)
    ]


def test_it_measures_throughput_and_delays_and_removes_what_it_made(
    tmp_path, kafka, redis_url, redis_client: redis.Redis
):
    write_bundle(tmp_path / "bundle")
    setup = deployment(tmp_path, kafka.bootstrap, redis_url)
    redis_client.set("drift:{churn}:mine", "kept")

    options = ["--events", 40_000, "--rounds", 1, "--rate", 400, "--seconds", 1, "--json"]
    result = run("bench", "-c", setup.path, *options)

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["events"] == 40_000
    assert report["bare_events_per_second"] > 0
    assert report["worker_events_per_second"] > 0
    assert report["cpu_seconds_per_million_events"] > 0
    assert {"decode", "model", "redis", "fetch"} <= report["stages"].keys()
    assert sum(report["stages"].values()) == pytest.approx(1, abs=0.05)
    assert report["resident_mb"] > 100
    # Events of one second in windows of 20, of which each raises an alert.
    assert report["counted_ms"]["count"] > 300
    assert report["alert_ms"]["count"] >= 15
    assert 0 < report["alert_ms"]["p50"] <= report["alert_ms"]["p99"]
    assert traces(kafka.bootstrap) == []
    assert redis_client.keys() == [b"drift:{churn}:mine"]


def test_ctrl_c_leaves_nothing_behind(tmp_path, kafka, redis_url, redis_client: redis.Redis):
    write_bundle(tmp_path / "bundle")
    config = load_config(deployment(tmp_path, kafka.bootstrap, redis_url).path)

    def interrupted():
        with temporary_deployment(config, config.monitors, 2) as temporary:
            made = temporary.for_run("one")
            redis_client.hset(f"{made.redis.prefix}:{{one-churn}}:progress", "0", "7")
            assert CountedOffsets(made).total() == 7
            assert len(traces(kafka.bootstrap)) == 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert traces(kafka.bootstrap) == []
    assert redis_client.keys() == []
