"""``drift-monitor check`` and the start of ``worker`` with real servers: each thing that can be wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient

from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.window_store import WindowStore
from streams.state.windows import WindowPolicy
from tests.cli_setup import Deployment, deployment, run, write_bundle
from tests.servers.ports import free_ports

SECRET = "correct-horse"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundles") / "good")


@pytest.fixture
def running(tmp_path, kafka, topic, redis_url, bundle) -> Deployment:
    """A deployment in which everything is right."""
    topics = (topic("events"), topic("alerts"), topic("rejected"))
    config = deployment(tmp_path, kafka.bootstrap, redis_url, topics=topics)
    config.monitor["detector"] = str(bundle)
    config.kafka["group.id"] = topics[0]
    return config


def findings(config: Deployment) -> tuple[int, dict[str, tuple[str, str]]]:
    """Run ``check`` and return its exit code and, for each subject, severity and sentence."""
    result = run("check", "-c", config.path, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, {line["subject"]: (line["severity"], line["sentence"]) for line in lines}


def failures(config: Deployment) -> dict[str, str]:
    code, found = findings(config)
    failed = {subject: sentence for subject, (severity, sentence) in found.items() if severity == "failed"}
    assert code == (2 if failed else 0)
    return failed


def worker(config: Deployment) -> subprocess.CompletedProcess[str]:
    """Run a worker that is not expected to start."""
    command = [sys.executable, "-m", "monitor.cli.main", "worker", "-c", str(config.path)]
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_all_is_well(running):
    code, found = findings(running)
    assert code == 0
    assert {severity for severity, _ in found.values()} == {"ok"}
    topics = {f"topic {running.monitor[s]['topic']}" for s in ("input", "alerts", "dead_letters")}
    assert {"config", "detector of churn", "Kafka", "Redis", "reference of churn", *topics} <= set(found)
    assert found["detector of churn"][1].endswith("inputs 4, 3 classes, threshold 0.5")


def test_the_readable_form_is_one_line_each(running):
    result = run("check", "-c", running.path)
    assert result.exit_code == 0
    assert all(line.startswith("ok      ") for line in result.stdout.splitlines())


def test_a_missing_topic_is_told_with_the_key_that_names_it(running):
    running.monitor["alerts"]["topic"] = "nobody-made-this"
    assert failures(running) == {
        "topic nobody-made-this": "does not exist (monitors[0].alerts.topic); create it, or run"
        " 'drift-monitor check --create-topics'."
    }


@pytest.mark.real_broker
def test_missing_topics_are_created_on_request(running, kafka):
    name = running.monitor["input"]["topic"] + "-new"
    running.monitor["input"]["topic"] = name
    created = run("check", "-c", running.path, "--create-topics")
    assert created.exit_code == 0
    assert f"topic {name}: created" in created.stdout
    metadata = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(name, timeout=10)
    assert metadata.topics[name].error is None
    assert failures(running) == {}


def test_checking_does_not_bring_a_missing_topic_into_being(running, kafka):
    running.monitor["input"]["topic"] = "only-asked-about"
    first, second = failures(running), failures(running)
    assert first == second
    assert "topic only-asked-about" in first


def test_an_unreachable_broker(running):
    running.kafka["bootstrap.servers"] = f"127.0.0.1:{free_ports(1)[0]}"
    sentence = failures(running)["Kafka"]
    assert sentence.startswith(f"Kafka at {running.kafka['bootstrap.servers']} cannot be reached: ")
    assert sentence.endswith("Connection refused; check kafka.bootstrap.servers.")


def test_a_broker_whose_name_nobody_knows(running):
    running.kafka["bootstrap.servers"] = "no-such-host.invalid:9092"
    sentence = failures(running)["Kafka"]
    assert "cannot be reached: Failed to resolve 'no-such-host.invalid:9092'" in sentence


def test_an_unreachable_redis(running):
    running.redis["url"] = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    sentence = failures(running)["Redis"]
    assert sentence.startswith(f"Redis at {running.redis['url']} cannot be used right now: ")
    assert sentence.endswith("; check redis.url.")


def test_a_wrong_redis_password(running, new_redis):
    server = new_redis({"requirepass": SECRET})
    running.redis["url"] = f"redis://127.0.0.1:{server.port}/0"
    running.redis["password"] = "wrong-guess"
    sentence = failures(running)["Redis"]
    assert "refused the user name or password" in sentence
    assert sentence.endswith("check redis.url, redis.username and redis.password.")
    assert "wrong-guess" not in sentence
    running.redis["password"] = SECRET
    assert failures(running) == {}
    del running.redis["password"]
    assert "refused the user name or password" in failures(running)["Redis"]


def test_a_redis_database_that_is_not_there(running, redis_url):
    running.redis["url"] = redis_url.rsplit("/", 1)[0] + "/999"
    assert "it does not have" in failures(running)["Redis"]


def test_a_redis_user_that_may_only_read(running, new_redis):
    server = new_redis({"user": [f"reader on >{SECRET} ~* &* +@read +@connection"]})
    running.redis |= {"url": f"redis://127.0.0.1:{server.port}/0", "username": "reader", "password": SECRET}
    assert "lacks the right +" in failures(running)["Redis"]


def test_a_redis_that_drops_keys_is_warned_about(running, new_redis):
    server = new_redis({"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"})
    running.redis["url"] = server.url
    code, found = findings(running)
    assert code == 0
    assert found["Redis"][0] == "warning"
    assert "allkeys-lru" in found["Redis"][1]
    assert "noeviction" in found["Redis"][1]


def test_the_check_leaves_no_key_behind(running, redis_client):
    assert failures(running) == {}
    assert redis_client.keys() == []


def test_a_missing_bundle(running, tmp_path):
    running.monitor["detector"] = "nowhere"
    expected = f"There is no detector bundle at {tmp_path / 'nowhere'}; it must be a directory."
    assert failures(running) == {"detector of churn": expected}


def test_a_tampered_bundle(running, tmp_path):
    write_bundle(tmp_path / "bundle")
    reference = tmp_path / "bundle" / "reference.npy"
    content = bytearray(reference.read_bytes())
    content[-1] ^= 1
    reference.write_bytes(content)
    running.monitor["detector"] = "bundle"
    assert "has been altered: its SHA-256 digest" in failures(running)["detector of churn"]


def test_a_broken_bundle(running, tmp_path):
    write_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "detector.json").write_text("{")
    running.monitor["detector"] = "bundle"
    assert "is not readable JSON" in failures(running)["detector of churn"]


def test_a_bundle_without_reference(running, tmp_path):
    write_bundle(tmp_path / "bundle", reference=None)
    running.monitor["detector"] = "bundle"
    assert "build one with 'drift-monitor reference build'" in failures(running)["detector of churn"]


def test_a_bundle_without_the_teacher_that_is_to_be_run(running, tmp_path):
    write_bundle(tmp_path / "bundle", with_teacher=False)
    running.monitor |= {"detector": "bundle", "prediction": "run"}
    assert "is to run the model (prediction: run)" in failures(running)["detector of churn"]
    del running.monitor["prediction"]
    running.monitor["input"] |= {"format": "pairs", "options": {"unpaired": "run"}}
    assert failures(running)["detector of churn"] == (
        "Monitor 'churn' is to run the model (unpaired: run), but the bundle"
        f" {tmp_path / 'bundle'} holds none; fit it with the model kept, or use unpaired: reject."
    )


def test_a_reference_that_is_small_for_its_windows_is_warned_about(running):
    running.monitor["window"] = {"size": 100}
    code, found = findings(running)
    severity, sentence = found["reference of churn"]
    assert (code, severity) == (0, "warning")
    assert (
        "the first worker puts it in force. The reference holds 200 scores, fewer than 10 windows" in sentence
    )
    assert re.search(r"nine raise between [\d.e-]+ and [\d.]+ times the false alarms", sentence)


def test_a_confidence_allows_for_a_small_reference(running):
    running.monitor |= {"window": {"size": 100}, "test": {"expected_run_time": 100, "confidence": 0.9}}
    code, found = findings(running)
    assert (code, found["reference of churn"][0], found["promise of churn"][0]) == (0, "ok", "ok")
    assert "one false alarm in 100 windows; drift is a p-value below 0.00" in found["promise of churn"][1]


def test_a_promise_that_cannot_be_kept(running):
    running.monitor |= {"window": {"size": 100, "hop": 10}, "test": {"expected_run_time": 2}}
    assert "New alarms cannot come as often as once in 2 windows" in failures(running)["promise of churn"]


def test_other_tests_need_a_large_reference_too(running):
    running.monitor |= {"window": {"size": 100}, "test": {"name": "mannwhitneyu"}}
    severity, sentence = findings(running)[1]["reference of churn"]
    assert severity == "warning"
    assert "For windows of 100 it should have 1000 or more" in sentence


def test_windows_that_cannot_become_those_of_the_config(running, redis_url):
    connection = RedisConnection(redis_url)
    WindowStore(connection, MonitorKeys("drift", "churn"), WindowPolicy(77, 11)).attach()
    connection.close()
    size = running.monitor.setdefault("window", {"size": 500})["size"]

    assert failures(running) == {
        "windows of churn": "Monitor 'churn' has windows of 77 that slide by 11 in Redis, which cannot become"
        f" windows of {size}; give the monitor of other windows another name, or drop the old ones with"
        " 'drift-monitor reset --monitor churn'."
    }


def test_the_reference_in_force_is_told_apart_from_the_bundles(running, tmp_path):
    np.save(tmp_path / "other.npy", np.linspace(0, 1, 300))
    assert "the first worker puts it in force" in findings(running)[1]["reference of churn"][1]
    run("reference", "push", "-c", running.path)
    assert findings(running)[1]["reference of churn"][1].endswith("the bundle's, in force")
    run("reference", "push", "-c", running.path, "--file", tmp_path / "other.npy", "--promote")
    sentence = findings(running)[1]["reference of churn"][1]
    assert "300 scores, in force; the bundle holds another one" in sentence


def test_a_reference_altered_in_redis(running, redis_client):
    run("reference", "push", "-c", running.path)
    (key,) = redis_client.keys("*:reference:*")
    redis_client.append(key, b"\0\0\0\0")
    assert "was altered in Redis; push it again." in failures(running)["reference of churn"]


def test_a_worker_tells_all_that_is_wrong_and_does_not_begin(running, tmp_path, new_redis, kafka):
    write_bundle(tmp_path / "bundle")
    (tmp_path / "bundle" / "reference.npy").write_bytes(b"")
    server = new_redis({"requirepass": SECRET})
    running.monitor["detector"] = "bundle"
    running.monitor["dead_letters"]["topic"] = "nobody-made-this-either"
    running.redis = {"url": f"redis://127.0.0.1:{server.port}/0", "password": "wrong-guess"}
    done = worker(running)
    lines = done.stderr.splitlines()
    assert done.returncode == 2, done.stderr
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith("drift-monitor: detector of churn: ")
    assert lines[1].startswith("drift-monitor: topic nobody-made-this-either: does not exist")
    assert lines[2].startswith("drift-monitor: Redis: ")
    assert "wrong-guess" not in done.stderr
    if kafka.real:
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
        groups = {group.group_id for group in admin.list_consumer_groups().result().valid}
        assert running.kafka["group.id"] not in groups


def test_a_worker_without_a_broker_ends_with_one_sentence(running):
    running.kafka["bootstrap.servers"] = f"127.0.0.1:{free_ports(1)[0]}"
    done = worker(running)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("drift-monitor: Kafka: Kafka at 127.0.0.1:")
    assert "cannot be reached" in line
