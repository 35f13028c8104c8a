"""What the running worker makes of events: windows, dead letters, segments, promises, promotions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streams import headers as header_names
from streams.events import RejectReason
from streams.state.reference_store import ReferenceStore
from tests.traffic import Account, MonitorState, TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config, wait_for_verdicts

WINDOW = 50


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def topics(topic: Callable[..., str]) -> dict[str, str]:
    return {name: topic(name) for name in ("events", "alerts", "rejected")}


@pytest.fixture
def run(
    tiny: TinyDetector, kafka, redis_url, topics, tmp_path, caplog
) -> Iterator[Callable[..., WorkerThread]]:
    """Start a worker with changes to its monitor; it is stopped at the end, without an error in its log."""
    started: list[WorkerThread] = []

    def start(**changes: Any) -> WorkerThread:
        changes = {"window": {"size": WINDOW}, **changes}
        config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, **changes)
        worker = WorkerThread(tmp_path / str(len(started)), config).start()
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.stop()
    assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]


def event(tiny: TinyDetector, **changes: Any) -> dict[str, Any]:
    """One good event as data, with fields replaced; None removes one."""
    one = tiny.calm(1, seed=99)
    fields = {"instance": one.instances[0].tolist(), "prediction": one.predictions[0].tolist(), **changes}
    return {name: value for name, value in fields.items() if value is not None}


def bad_events(tiny: TinyDetector) -> dict[str, tuple[RejectReason, bytes | None]]:
    instance = event(tiny)["instance"]

    def encoded(**changes: Any) -> bytes:
        return json.dumps(event(tiny, model="right", **changes)).encode()

    return {
        "not JSON": (RejectReason.UNDECODABLE, b'{"instance": [1,'),
        "not text": (RejectReason.UNDECODABLE, b"\xff\xfe\x00"),
        "tombstone": (RejectReason.UNDECODABLE, None),
        "no instance": (RejectReason.MISSING_FIELD, encoded(instance=None)),
        "no prediction": (RejectReason.MISSING_FIELD, encoded(prediction=None)),
        "29 features": (RejectReason.WRONG_SHAPE, encoded(instance=instance[:-1])),
        "three classes": (RejectReason.WRONG_SHAPE, encoded(prediction=[0.5, 0.25, 0.25])),
        "text for a number": (RejectReason.WRONG_DTYPE, encoded(instance=["a", *instance[1:]])),
        "NaN": (RejectReason.NOT_FINITE, encoded(instance=[float("nan"), *instance[1:]])),
        "infinity": (RejectReason.NOT_FINITE, encoded(instance=[float("inf"), *instance[1:]])),
        "beyond float32": (RejectReason.NOT_FINITE, encoded(instance=[1e39, *instance[1:]])),
        "negative": (RejectReason.NOT_A_DISTRIBUTION, encoded(prediction=[1.5, -0.5])),
        "sums to 1.1": (RejectReason.NOT_A_DISTRIBUTION, encoded(prediction=[0.6, 0.5])),
        "too large": (RejectReason.TOO_LARGE, encoded(comment="x" * 3000)),
        "another model": (RejectReason.UNKNOWN_MODEL, json.dumps(event(tiny, model="wrong")).encode()),
        "no model": (RejectReason.UNKNOWN_MODEL, json.dumps(event(tiny)).encode()),
    }


def test_every_kind_of_bad_event_is_a_dead_letter_and_its_neighbours_are_counted(
    tiny, kafka, redis_url, topics, run
):
    """Good and bad events alternate in one batch of one partition."""
    bad = bad_events(tiny)
    # Halves without a partner need the format `pairs`, whose own tests have them.
    assert {reason for reason, _ in bad.values()} == set(RejectReason) - {RejectReason.UNPAIRED}
    good = tiny.calm(2 * WINDOW, seed=3)
    good_values = [json.dumps({**json.loads(value), "model": "right"}).encode() for value in good.values]
    values: list[bytes | None] = []
    names: list[str] = []
    for row, value in enumerate(good_values):
        values.append(value)
        names.append("good")
        if row < len(bad):
            name = list(bad)[row]
            values.append(bad[name][1])
            names.append(name)
    keys = [f"key of {name}".encode() for name in names]
    trace = [[("trace", name.encode()), ("empty", b""), ("trace", b"twice")] for name in names]
    places = publish(
        kafka.bootstrap, topics["events"], values, keys=keys, headers=trace, partitions=[0] * len(values)
    )
    account = Account()
    account.enter([p for p, name in zip(places, names, strict=True) if name == "good"], good.scores)

    worker = run(input={"model": "right", "max_bytes": 2500})
    verdicts = wait_for_verdicts(worker, redis_url, "m", 2)
    letters = consume(kafka.bootstrap, topics["rejected"], len(bad), extra=0.5)

    account.check(verdicts)
    assert [verdict.size for verdict in verdicts] == [WINDOW, WINDOW]
    by_offset = {places[row][1]: name for row, name in enumerate(names)}
    assert len(letters) == len(bad)
    for letter in letters:
        *original, reason, detail, came_from, partition, offset = letter.headers()
        name = by_offset[int(offset[1])]
        assert letter.value() == bad[name][1]
        assert letter.key() == f"key of {name}".encode()
        assert original == [("trace", name.encode()), ("empty", b""), ("trace", b"twice")]
        assert reason == (header_names.REJECT_REASON, bad[name][0].value.encode()), name
        assert detail[0] == header_names.REJECT_DETAIL
        assert detail[1].endswith(b".")
        assert came_from == (header_names.REJECT_TOPIC, topics["events"].encode())
        assert partition == (header_names.REJECT_PARTITION, b"0")
        assert offset[0] == header_names.REJECT_OFFSET
    assert len({int(letter.headers()[-1][1]) for letter in letters}) == len(bad)


def test_giant_events_are_dead_letters_soon(tiny, kafka, redis_url, topics, run):
    """Each is within what Kafka takes and, but for the last, within the limit of the config."""
    whole = json.dumps(event(tiny)).encode()
    giants = {
        b'{"instance": ' + b"[" * 450_000 + b"]" * 450_000 + b"}": RejectReason.UNDECODABLE,
        b'{"a":' * 180_000: RejectReason.UNDECODABLE,
        b'{"comment": ' + b"[" * 450_000 + b"]" * 450_000 + b"," + whole[1:]: RejectReason.UNDECODABLE,
        b'{"instance": [' + b"1," * 450_000 + b"1]," + whole[whole.index(b'"prediction"') :]: (
            RejectReason.WRONG_SHAPE
        ),
        b"{" + b",".join(b'"%d":0' % key for key in range(90_000)) + b"}": RejectReason.MISSING_FIELD,
        b'{"instance": [' + b"7" * 900_000 + b"]," + whole[whole.index(b'"prediction"') :]: (
            RejectReason.WRONG_SHAPE
        ),
        b'"' + b"x" * 960_000 + b'"': RejectReason.TOO_LARGE,
    }
    publish(kafka.bootstrap, topics["events"], list(giants), partitions=[0] * len(giants))
    account = Account()
    account.send(kafka.bootstrap, topics["events"], tiny.calm(WINDOW, seed=4), [0] * WINDOW)
    worker = run(input={"max_bytes": 950_000})
    account.check(wait_for_verdicts(worker, redis_url, "m", 1))

    letters = consume(kafka.bootstrap, topics["rejected"], len(giants))
    found = [dict(letter.headers())[header_names.REJECT_REASON].decode() for letter in letters]
    assert found == [reason.value for reason in giants.values()]


def test_batch_of_nothing_but_bad_events_moves_on(tiny, kafka, redis_url, topics, run):
    publish(kafka.bootstrap, topics["events"], [b"nonsense"] * 30, partitions=[0] * 30)
    worker = run()
    account = Account()

    assert len(consume(kafka.bootstrap, topics["rejected"], 30)) == 30
    account.send(kafka.bootstrap, topics["events"], tiny.calm(WINDOW, seed=4), [0] * WINDOW)
    verdicts = wait_for_verdicts(worker, redis_url, "m", 1)

    account.check(verdicts)
    assert verdicts[0].offsets == {0: (30, 30 + WINDOW - 1)}


def test_dead_letter_too_large_for_its_topic_is_cut_and_says_so(tiny, kafka, redis_url, topics, run):
    publish(kafka.bootstrap, topics["events"], [b"[" + b"1" * 1_000_000])
    run(input={"max_bytes": 1000})

    (letter,) = consume(kafka.bootstrap, topics["rejected"], 1)

    assert letter.headers()[-1] == (header_names.REJECT_TRUNCATED, b"1000001")
    assert letter.value() == (b"[" + b"1" * 1_000_000)[: len(letter.value())]
    assert len(letter.value()) > 100_000


def test_events_are_split_into_segments_by_a_field(tiny, kafka, redis_url, topics, run):
    """Events that name no segment belong to the segment 'all'."""
    names = ["eu", "us", None]
    events = tiny.calm(3 * WINDOW, seed=5)
    values = []
    for row, value in enumerate(events.values):
        fields = json.loads(value)
        if names[row % 3] is not None:
            fields["where"] = names[row % 3]
        values.append(json.dumps(fields).encode())
    places = publish(kafka.bootstrap, topics["events"], values)

    worker = run(segment_by="field", input={"fields": {"segment": "where"}})

    for turn, segment in enumerate(["eu", "us", "all"]):
        account = Account()
        account.enter(places[turn::3], events.scores[turn::3])
        account.check(wait_for_verdicts(worker, redis_url, "m", 1, segment))


def test_events_are_split_into_segments_by_their_key(tiny, kafka, redis_url, topics, run):
    keys = [b"eu", b"\xff", None, "süd 1".encode()]
    events = tiny.calm(4 * WINDOW, seed=6)
    places = publish(
        kafka.bootstrap, topics["events"], events.values, keys=[keys[row % 4] for row in range(len(events))]
    )

    worker = run(segment_by="key")

    for turn, segment in enumerate(["eu", r"\xff", "all", "süd 1"]):
        account = Account()
        account.enter(places[turn::4], events.scores[turn::4])
        account.check(wait_for_verdicts(worker, redis_url, "m", 1, segment))
    with MonitorState(redis_url) as state:
        assert state.segments() == {"eu", r"\xff", "all", "süd 1"}


def test_model_that_is_run_gives_the_scores_of_its_predictions(tiny, kafka, redis_url, topics, run):
    """The predictions in the events are not looked at then: here they are wrong, or absent."""
    events = tiny.calm(WINDOW, seed=7)
    values = []
    for row, value in enumerate(events.values):
        fields = json.loads(value)
        if row % 2:
            del fields["prediction"]
        else:
            fields["prediction"] = [0.5, 0.5]
        values.append(json.dumps(fields).encode())
    places = publish(kafka.bootstrap, topics["events"], values)
    account = Account()
    account.enter(places, events.scores)

    worker = run(prediction="run")

    account.check(wait_for_verdicts(worker, redis_url, "m", 1))


def test_promised_run_time_sets_the_threshold_and_keeps_the_peace(tiny, kafka, redis_url, topics, run):
    """At p_val 0.05 a calm stream of 100 windows raises alarms; at one in 10,000 windows it does not."""
    account = Account()
    account.send(kafka.bootstrap, topics["events"], tiny.calm(100 * WINDOW, seed=8))
    worker = run(test={"expected_run_time": 10_000})

    verdicts = wait_for_verdicts(worker, redis_url, "m", 100)

    account.check(verdicts)
    thresholds = {verdict.threshold for verdict in verdicts}
    assert len(thresholds) == 1
    assert 0 < thresholds.pop() < 0.001
    assert not any(verdict.drift for verdict in verdicts)
    account.send(kafka.bootstrap, topics["events"], tiny.harmful(WINDOW, seed=9))
    verdicts = wait_for_verdicts(worker, redis_url, "m", 101)
    assert verdicts[-1].drift
    (alert,) = consume(kafka.bootstrap, topics["alerts"], 1)
    sent = json.loads(alert.value())["data"]
    assert sent["test"]["threshold"] == verdicts[-1].threshold
    assert sent["window"]["sequence"] == 101


def test_alerts_follow_the_state_with_the_worst_events_as_examples(tiny, kafka, redis_url, topics, run):
    calm, harmful = tiny.calm(4 * WINDOW, seed=10), tiny.harmful(3 * WINDOW, seed=11)
    values = [*calm.values[: 2 * WINDOW], *harmful.values, *calm.values[2 * WINDOW :]]
    values = [json.dumps({**json.loads(v), "id": f"event-{row}"}).encode() for row, v in enumerate(values)]
    publish(kafka.bootstrap, topics["events"], values, partitions=[0] * len(values))

    worker = run(test={"p_val": 0.001}, alerts={"raise_after": 2, "resolve_after": 2})
    wait_for_verdicts(worker, redis_url, "m", 7)
    alerts = consume(kafka.bootstrap, topics["alerts"], 2, extra=0.5)

    detected, resolved = (json.loads(alert.value()) for alert in alerts)
    assert detected["type"].endswith("detected.v1")
    assert detected["data"]["window"]["sequence"] == 4
    assert detected["data"]["window"]["offsets"] == {topics["events"]: {"0": [3 * WINDOW, 4 * WINDOW - 1]}}
    worst = np.argsort(-harmful.scores[WINDOW : 2 * WINDOW])[0] + 3 * WINDOW
    assert detected["data"]["examples"][0]["id"] == f"event-{worst}"
    assert detected["data"]["examples"][0]["offset"] == worst
    assert resolved["type"].endswith("resolved.v1")
    assert resolved["data"]["window"]["sequence"] == 7
    assert {alert.key() for alert in alerts} == {b"m/all"}


def test_promoted_reference_is_used_from_the_next_batch_on(tiny, kafka, redis_url, topics, run):
    worker = run(test={"p_val": 0.001})
    publish(kafka.bootstrap, topics["events"], tiny.calm(WINDOW, seed=12).values)
    (before,) = wait_for_verdicts(worker, redis_url, "m", 1)
    with MonitorState(redis_url) as state:
        references = ReferenceStore(state.connection, state.keys)
        version = references.put(tiny.harmful(300, seed=13).scores)
        references.promote(version)

        publish(kafka.bootstrap, topics["events"], tiny.harmful(WINDOW, seed=14).values)
        after = wait_for_verdicts(worker, redis_url, "m", 2)[-1]
        restored = references.rollback()
        publish(kafka.bootstrap, topics["events"], tiny.harmful(WINDOW, seed=15).values)
        last = wait_for_verdicts(worker, redis_url, "m", 3)[-1]

    assert (after.reference, after.drift) == (version, False)
    assert restored == before.reference != version
    assert (last.reference, last.drift) == (restored, True)


def test_partial_window_is_tested_when_it_is_old(tiny, kafka, redis_url, topics, run):
    account = Account()
    account.send(kafka.bootstrap, topics["events"], tiny.calm(WINDOW // 2, seed=16))
    started = time.monotonic()

    worker = run(window={"size": WINDOW, "max_age_seconds": 0.5, "min_size": 10})
    (verdict,) = wait_for_verdicts(worker, redis_url, "m", 1, seconds=10)

    account.check([verdict])
    assert verdict.size == WINDOW // 2
    assert time.monotonic() - started >= 0.5


def test_two_monitors_watch_one_topic(tiny, kafka, redis_url, topics, tmp_path: Path):
    """One for each model; an event of neither is rejected once."""
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, window={"size": WINDOW})
    (first,) = config["monitors"]
    config["monitors"] = [
        {**first, "name": model, "input": {"topic": topics["events"], "model": model}} for model in ("a", "b")
    ]
    events = tiny.calm(3 * WINDOW, seed=17)
    values = [
        json.dumps({**json.loads(value), "model": "abc"[row % 3]}).encode()
        for row, value in enumerate(events.values)
    ]
    places = publish(kafka.bootstrap, topics["events"], values)

    with WorkerThread(tmp_path, config) as worker:
        for turn, model in enumerate("ab"):
            account = Account()
            account.enter(places[turn::3], events.scores[turn::3])
            account.check(wait_for_verdicts(worker, redis_url, model, 1))
        letters = consume(kafka.bootstrap, topics["rejected"], WINDOW, extra=0.5)

    assert len(letters) == WINDOW
