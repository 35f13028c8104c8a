"""Requests and responses that come as records of their own, paired in a real Redis."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config import MonitorConfig
from monitor.pipeline import Pipeline
from monitor.stores.in_redis import RedisStores
from monitor.verdicts.ledger import Delivered
from monitor.watch import open_watches
from streams.codecs.pairs_codec import PairsCodec
from streams.errors import CodecError
from streams.events import EventSchema, RejectedEvent
from streams.events import RejectReason as Reason
from streams.records import Headers, RecordBatch
from streams.state.pair_store import PairStore
from streams.state.redis_connection import RedisConnection
from tests.producer_samples import Sample, sample
from tests.records_in_memory import InMemoryRecord
from tests.traffic import MonitorState, TinyDetector

SCHEMA = EventSchema(input_shape=(3,), n_classes=2)


@dataclass
class Record(InMemoryRecord):
    """A record of a partition of its own."""

    partition_number: int = 0

    def partition(self) -> int:
        return self.partition_number


@pytest.fixture
def new_codec(redis_url: str) -> Iterator[Callable[..., PairsCodec]]:
    """Make codecs as workers of their own would have them."""
    connection = RedisConnection(redis_url)
    yield lambda **options: PairsCodec(SCHEMA, pairs=PairStore(connection, "drift"), **options)
    connection.close()


def batch(*records: tuple[int, int, bytes | None, Headers]) -> RecordBatch:
    return RecordBatch("log", [Record(value, None, headers, at, p) for p, at, value, headers in records])


def at(partition: int, offset: int, golden: Sample) -> tuple[int, int, bytes, Headers]:
    return partition, offset, golden.value, golden.headers


@pytest.mark.parametrize("mode", ["", "_structured"])
@pytest.mark.parametrize("order", [("request", "response"), ("response", "request")])
def test_what_the_logger_writes_is_paired_in_either_order(
    new_codec: Callable[..., PairsCodec], mode: str, order: Sequence[str]
) -> None:
    first, second = (sample(f"kserve_logger_{half}{mode}") for half in order)
    before = new_codec().decode(batch(at(0, 7, first)))
    completed = new_codec().decode(batch(at(1, 3, second)))

    assert (len(before), before.rejected, before.waiting) == (0, [], [0])
    assert (completed.rejected, list(completed.waiting)) == ([], [])
    assert completed.rows.tolist() == [0, 0]
    assert completed.instances.tolist() == first.instances.tolist()
    assert completed.predictions is not None
    assert completed.predictions.tolist() == first.predictions.tolist()
    assert completed.ids == ["6f1c", "6f1c"]
    assert completed.times_ms.tolist() == [1_795_176_000_000] * 2


def test_a_half_that_is_delivered_again_gets_the_same_answer(new_codec: Callable[..., PairsCodec]) -> None:
    first = batch(at(0, 7, sample("kserve_logger_request")))
    second = batch(at(1, 3, sample("kserve_logger_response")))
    for codec in (new_codec(), new_codec()):
        assert (len(codec.decode(first)), len(codec.decode(second))) == (0, 2)
    copy = new_codec().decode(batch(at(1, 4, sample("kserve_logger_response"))))
    assert (len(copy), copy.rejected, copy.waiting) == (0, [], [0])


def test_a_half_that_comes_too_late_is_rejected_and_the_other_counted(
    new_codec: Callable[..., PairsCodec], redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    codec = new_codec(within_seconds=0.01)
    codec.decode(batch(at(0, 7, sample("kserve_logger_request"))))
    with redis.Redis.from_url(redis_url) as client:
        while client.zcount("drift:{PAIRS:log}:waiting", "-inf", _now_ms(client)) == 0:
            time.sleep(0.001)
        late = new_codec(within_seconds=60).decode(batch(at(1, 3, sample("kserve_logger_response"))))
        assert client.hgetall("drift:{PAIRS:log}:unpaired") == {b"request": b"1"}

    assert [(one.row, one.reason) for one in late.rejected] == [(0, Reason.UNPAIRED)]
    assert "request at 0:7" in caplog.text


def _now_ms(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


def headers(**attributes: str) -> Headers:
    return [(f"ce_{name}", text.encode()) for name, text in attributes.items()]


@pytest.mark.parametrize(
    ("value", "told", "reason", "words"),
    [
        (None, headers(id="a", type="x.request"), Reason.UNDECODABLE, "tombstone"),
        (b"{}", headers(id="a", type="x.other"), Reason.MISSING_FIELD, "'x.other'"),
        (b"{}", headers(type="x.request"), Reason.MISSING_FIELD, "'id' is None"),
        (b"{}", [], Reason.MISSING_FIELD, "'type' is None"),
        (b"{", [], Reason.UNDECODABLE, "not JSON"),
        (b"x" * 2_000_000, headers(id="a", type="x.request"), Reason.TOO_LARGE, "at most"),
    ],
)
def test_what_is_no_half_is_refused_with_its_reason(
    new_codec: Callable[..., PairsCodec], value: bytes | None, told: Headers, reason: Reason, words: str
) -> None:
    refused = new_codec().decode(batch((0, 0, value, told)))

    assert [one.reason for one in refused.rejected] == [reason]
    assert words in refused.rejected[0].detail
    assert list(refused.waiting) == []


def test_a_pair_that_cannot_be_read_is_refused_where_it_was_completed(
    new_codec: Callable[..., PairsCodec],
) -> None:
    request = sample("kserve_logger_request")
    response = (0, 1, b'{"outputs": []}', headers(id="6f1c", type="x.response"))
    refused = new_codec().decode(batch(at(0, 0, request), response))

    assert [(one.row, one.reason) for one in refused.rejected] == [(1, Reason.MISSING_FIELD)]
    assert list(refused.waiting) == [0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"within_seconds": 0}, "within_seconds"),
        ({"data_options": 1}, "data_options"),
        ({"data": "x"}, "'x'"),
    ],
)
def test_wrong_options_are_refused(
    new_codec: Callable[..., PairsCodec], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CodecError, match=sentence):
        new_codec(**options)


KINDS = st.sampled_from(["x.request", "x.response", "x"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(st.binary(max_size=9), st.text(max_size=2), KINDS), max_size=8))
def test_whatever_comes_is_accepted_rejected_or_waits(
    new_codec: Callable[..., PairsCodec], records: list[tuple[bytes, str, str]]
) -> None:
    sent = batch(*[(0, n, v, headers(id=i, type=t)) for n, (v, i, t) in enumerate(records)])
    found = new_codec().decode(sent)

    rows = [*found.rows.tolist(), *found.waiting, *(one.row for one in found.rejected)]
    assert sorted(rows) == list(range(len(records)))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle"))


class NoDeadLetters:
    def send(self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]) -> None:
        raise AssertionError(rejected[0].detail)


def test_each_pair_is_counted_once_by_whichever_workers_in_whichever_order(
    tiny: TinyDetector, redis_url: str
) -> None:
    events = tiny.calm(60, seed=5)
    halves = []
    for number, (x, p) in enumerate(zip(events.instances, events.predictions, strict=True)):
        for kind, key, numbers in (("request", "inputs", x), ("response", "outputs", p)):
            tensor = {"name": key, "shape": [len(numbers)], "datatype": "FP32", "data": numbers.tolist()}
            halves.append((json.dumps({key: [tensor]}).encode(), headers(id=f"{number}", type=f"x.{kind}")))
    rng = np.random.default_rng(7)
    partitions: dict[int, list[Record]] = {0: [], 1: []}
    for place in rng.permutation(len(halves)):
        log = partitions[int(rng.integers(2))]
        value, told = halves[place]
        log.append(Record(value, None, told, len(log), 0 if log is partitions[0] else 1))

    connection = RedisConnection(redis_url)
    workers = [_pipeline(tiny.path, connection) for _ in range(2)]
    read = {0: 0, 1: 0}
    while any(read[number] < len(log) for number, log in partitions.items()):
        number = int(rng.integers(2))
        # A batch begins before where the last one ended, as after a crash, and sometimes is never counted.
        start = max(0, read[number] - int(rng.integers(6)))
        taken = partitions[number][start : start + 15]
        worker = workers[int(rng.integers(2))]
        scored = worker.score(RecordBatch("log", taken)) if taken else None
        if scored is not None and rng.random() < 0.7:
            worker.count(scored)
            read[number] = max(read[number], start + len(taken))
    with MonitorState(redis_url) as state:
        counted = state.left_open()
    connection.close()

    assert counted is not None
    np.testing.assert_allclose(np.sort(counted.scores), np.sort(events.scores), rtol=1e-4, atol=1e-6)


def _pipeline(bundle: Path, connection: RedisConnection) -> Pipeline:
    config = MonitorConfig.model_validate(
        {
            "name": "m",
            "input": {"topic": "log", "format": "pairs"},
            "detector": str(bundle),
            "window": {"size": 1000},
            "alerts": {"topic": "alerts"},
            "dead_letters": {"topic": "rejected"},
        }
    )
    stores = RedisStores(connection, "drift")
    watches = open_watches([config], stores, lambda *_: Delivered(), state=None)
    pipeline = Pipeline(
        watches, stores, NoDeadLetters(), codec_services={"pairs": PairStore(connection, "drift")}
    )
    pipeline.attach()
    return pipeline
