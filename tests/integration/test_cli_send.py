"""``drift-monitor send`` and ``alerts`` against a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from uuid import uuid4

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer

from monitor.alerts.policy import AlertKind
from tests.cli_setup import Deployment, classifier, complaints, deployment, run, write_bundle
from tests.unit.monitor.test_alerts import built


@pytest.fixture
def config(tmp_path, kafka, topic) -> Deployment:
    topics = (topic("events"), topic("alerts"), topic("rejected"))
    return deployment(tmp_path, kafka.bootstrap, "redis://127.0.0.1:9/0", topics=topics)


@pytest.fixture
def sample(tmp_path) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4)).astype(np.float32)
    y = rng.dirichlet(np.ones(3), size=30).astype(np.float32)
    np.savez(tmp_path / "events.npz", X=X, predictions=y)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    return X, y


def received(config: Deployment, n: int) -> list[bytes]:
    """Read the first ``n`` values of the input topic."""
    consumer = Consumer({**config.kafka, "group.id": str(uuid4()), "auto.offset.reset": "earliest"})
    consumer.subscribe([config.monitor["input"]["topic"]])
    messages = []
    try:
        while len(messages) < n:
            messages += consumer.consume(n - len(messages), timeout=20)
        messages += consumer.consume(1, timeout=0.5)
    finally:
        consumer.close()
    return [message.value() for message in messages]


def test_arrays_become_events_that_hold_the_same_numbers(config, sample, tmp_path):
    X, y = sample
    result = run("send", tmp_path / "events.npz", "-c", config.path)
    assert result.exit_code == 0, result.stderr
    assert f"Sent 30 events to {config.monitor['input']['topic']}" in result.stderr
    events = sorted((json.loads(value) for value in received(config, 30)), key=lambda e: int(e["id"][7:]))
    assert [event["id"] for event in events] == [f"events-{row}" for row in range(30)]
    np.testing.assert_array_equal(np.array([event["instance"] for event in events], np.float32), X)
    np.testing.assert_array_equal(np.array([event["prediction"] for event in events], np.float32), y)


def test_predictions_may_come_from_a_file_or_from_the_bundles_model(config, sample, tmp_path):
    X, y = sample
    write_bundle(tmp_path / "bundle")
    given = run(
        "send", tmp_path / "X.npy", "-c", config.path, "--predictions", tmp_path / "y.npy", "--limit", 5
    )
    made = run("send", tmp_path / "X.npy", "-c", config.path, "--predict", "--limit", 5)
    assert (given.exit_code, made.exit_code) == (0, 0), made.stderr
    events = [json.loads(value) for value in received(config, 10)]
    sent = {tuple(np.float32(event["instance"]).tolist()): [] for event in events}
    for event in events:
        sent[tuple(np.float32(event["instance"]).tolist())].append(event["prediction"])
    expected = classifier(2).predict(X[:5], verbose=0)
    for row in range(5):
        first, second = sent[tuple(X[row].tolist())]
        known, run_by_model = (first, second) if np.allclose(first, y[row], atol=1e-6) else (second, first)
        np.testing.assert_allclose(known, y[row], atol=1e-6)
        np.testing.assert_allclose(run_by_model, expected[row], atol=1e-5)


def test_fields_and_model_stand_where_the_config_says(config, sample, tmp_path):
    config.monitor["input"] |= {"model": "churn-7", "fields": {"instance": "payload.x", "model": "meta.name"}}
    result = run("send", tmp_path / "events.npz", "-c", config.path, "--limit", 1)
    assert result.exit_code == 0, result.stderr
    (value,) = received(config, 1)
    event = json.loads(value)
    assert event["meta"] == {"name": "churn-7"}
    np.testing.assert_array_equal(np.float32(event["payload"]["x"]), sample[0][0])


def test_tensors_are_the_numbers_themselves(config, sample, tmp_path):
    X, y = sample
    result = run("send", tmp_path / "events.npz", "-c", config.path, "--format", "tensor", "--limit", 1)
    assert result.exit_code == 0, result.stderr
    assert received(config, 1) == [X[0].astype("<f4").tobytes() + y[0].astype("<f4").tobytes()]


def test_lines_are_sent_as_they_are(config, tmp_path):
    (tmp_path / "events.jsonl").write_text('{"instance": [1]}\n\nnot json at all\n')
    result = run("send", tmp_path / "events.jsonl", "-c", config.path)
    assert result.exit_code == 0, result.stderr
    assert sorted(received(config, 2)) == [b"not json at all", b'{"instance": [1]}']


def test_parquet_holds_instances_and_predictions(config, sample, tmp_path):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    X, y = sample
    pq.write_table(pa.table({"instance": list(X), "prediction": list(y)}), tmp_path / "events.parquet")
    result = run("send", tmp_path / "events.parquet", "-c", config.path, "--limit", 2)
    assert result.exit_code == 0, result.stderr
    events = sorted((json.loads(value) for value in received(config, 2)), key=lambda event: event["id"])
    np.testing.assert_array_equal(np.array([event["instance"] for event in events], np.float32), X[:2])


def test_the_rate_is_kept(config, sample, tmp_path):
    begin = time.monotonic()
    result = run("send", tmp_path / "events.npz", "-c", config.path, "--rate", 20, "--limit", 20)
    assert result.exit_code == 0
    assert 1.0 <= time.monotonic() - begin < 10.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.npy"], "There is no file gone.npy."),
        (["X.npy"], "X.npy holds no predictions, which monitor 'churn' expects in its events"),
        (["X.npy", "--predictions", "few.npy"], "for 30 instances it must be (30, k)"),
        (["X.npy", "--predict"], "There is no detector bundle at"),
        (["notes.jsonl", "--predict"], "leave out the options for arrays."),
        (
            ["events.npz", "--topic", "nobody-made-this"],
            "topic nobody-made-this: does not exist (--topic); create it, or name one that does.",
        ),
    ],
)
def test_what_cannot_be_sent_is_told_in_one_sentence(
    config, sample, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    np.save("few.npy", sample[1][:3])
    (tmp_path / "notes.jsonl").write_text("{}\n")
    result = run("send", *arguments, "-c", config.path)
    assert result.exit_code == 2
    (said,) = complaints(result)
    assert message in said


def publish_alerts(config: Deployment, *alerts) -> None:
    producer = Producer(config.kafka)
    for alert in alerts:
        producer.produce(config.monitor["alerts"]["topic"], alert.value, alert.key, headers=alert.headers)
    assert producer.flush(30) == 0


def test_alerts_read_as_a_paragraph_each(config):
    publish_alerts(config, built(monitor="churn"), built(AlertKind.RESOLVED, monitor="churn"))
    result = run("alerts", "-c", config.path, "--from-beginning", "--max", 2, "--timeout", 30)
    assert result.exit_code == 0, result.stderr
    detected, resolved = sorted(result.stdout.splitlines())
    assert detected == (
        "2026-11-20T12:00:00.123Z churn (segment eu): drift detected. Window 42 of 100 scores,"
        " 2026-11-20T11:59:00.123Z to 2026-11-20T11:59:59.123Z: p-value 1.2e-09 against 0.01 (ks_2samp,"
        " higher, statistic 0.31). Mean score 1.9, reference 0.88. 34% of inputs flagged."
        " Highest: 6f1c (4.5), inference-events[2]@9 (4.1)."
    )
    assert ": drift resolved. " in resolved


def test_alerts_as_json_are_the_events_themselves(config):
    alert = built(monitor="churn")
    publish_alerts(config, built(monitor="other"), alert)
    result = run("alerts", "-c", config.path, "--json", "--from-beginning", "--max", 1, "--timeout", 30)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == json.loads(alert.value)


def test_only_new_alerts_are_followed_and_ctrl_c_ends_it(config):
    publish_alerts(config, built(monitor="churn"))
    command = [sys.executable, "-m", "monitor.cli.main", "alerts", "-c", str(config.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        assert "Following" in follower.stderr.readline()
        publish_alerts(config, built(AlertKind.RESOLVED, monitor="churn"))
        line = follower.stdout.readline()
        follower.send_signal(2)
        try:
            rest, said = follower.communicate(timeout=20)
        finally:
            follower.kill()
    assert "drift resolved" in line
    assert (follower.returncode, rest, said) == (0, "", "")


def test_scripts_learn_that_too_few_alerts_came(config):
    result = run("alerts", "-c", config.path, "--max", 1, "--timeout", 0.5)
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_missing_alert_topic_is_told(config):
    config.monitor["alerts"]["topic"] = "nobody-made-this"
    result = run("alerts", "-c", config.path)
    assert result.exit_code == 2
    assert complaints(result)[0].startswith(
        "topic nobody-made-this: does not exist (monitors[0].alerts.topic)"
    )
