"""Requests and responses that come as records of their own, paired in a real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from monitor.config import MonitorConfig
from monitor.metrics.instruments import Instruments
from monitor.pipeline import Pipeline
from monitor.stores.in_redis import RedisStores
from monitor.unpaired import UnpairedHalves
from monitor.verdicts.ledger import Delivered
from monitor.watch import open_watches
from streams.codecs.pairs.codec import PairsCodec
from streams.errors import CodecError
from streams.events import EventSchema, RejectedEvent
from streams.events import RejectReason as Reason
from streams.kafka.dead_letters import dead_letter
from streams.kafka.producer import Content, PendingDelivery
from streams.kafka.returned_requests import ReturnedRequests
from streams.records import Headers, RecordBatch
from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import Halves, Meetings, PairStore
from streams.state.redis_connection import RedisConnection
from streams.stored_records import unpacked_record
from tests.halves import HalfRecord, halves_of
from tests.producer_samples import Sample, sample
from tests.records_in_memory import InMemoryRecord
from tests.secured import redis_rights
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


@pytest.mark.parametrize("others", [1, 2500])
def test_halves_that_meet_in_a_batch_do_so_however_they_are_delivered_again(
    new_codec: Callable[..., PairsCodec], others: int
) -> None:
    request, response = at(0, 7, sample("kserve_logger_request")), at(1, 3, sample("kserve_logger_response"))
    more = [(2, n, b"{}", headers(id=f"other-{n}", type="x.request")) for n in range(others)]
    both = new_codec().decode(batch(*more, request, response))
    assert (both.rows.tolist(), both.rejected) == ([others + 1, others + 1], [])
    assert both.ids == ["6f1c", "6f1c"]

    swapped = new_codec().decode(batch(response, request))
    assert swapped.rows.tolist() == [0, 0], "the response completes the event, as it did before"
    doubled = new_codec().decode(batch((0, 8, *request[2:]), (1, 4, *response[2:])))
    assert (len(doubled), list(doubled.waiting)) == (0, [0, 1])


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_halves_that_met_before_a_crash_meet_again_when_they_come_alone(
    new_codec: Callable[..., PairsCodec], order: list[int]
) -> None:
    halves = [at(0, 7, sample("kserve_logger_request")), at(1, 3, sample("kserve_logger_response"))]
    assert len(new_codec().decode(batch(*halves))) == 2

    first, second = (batch(halves[number]) for number in order)
    for _ in range(2):
        assert (len(new_codec().decode(first)), len(new_codec().decode(second))) == (0, 2)


def test_a_half_that_came_alone_before_a_crash_meets_the_other_in_a_batch(
    new_codec: Callable[..., PairsCodec], redis_client: redis.Redis
) -> None:
    halves = [at(0, 7, sample("kserve_logger_request")), at(1, 3, sample("kserve_logger_response"))]
    assert len(new_codec().decode(batch(halves[0]))) == 0
    for _ in range(2):
        assert new_codec().decode(batch(*halves)).rows.tolist() == [1, 1]
    assert redis_client.zcard("drift:{PAIRS:log}:waiting") == 0


def test_many_halves_that_wait_each_find_their_own(new_codec: Callable[..., PairsCodec]) -> None:
    count, codec = 2100, new_codec()
    instances = np.random.default_rng(3).normal(size=(2 * count, 3)).astype(np.float32)
    pairs = [halves_of(f"{n}", x, np.array([0.5, 0.5])) for n, x in enumerate(instances)]
    # Requests wait in the first turn, responses in the second.
    for turn in range(2):
        ours = range(turn * count, (turn + 1) * count)
        first = codec.decode(batch(*((0, n, *pairs[n][turn]) for n in ours)))
        second = codec.decode(batch(*((1, n, *pairs[n][1 - turn]) for n in reversed(ours))))

        assert (len(first), len(first.waiting), first.rejected) == (0, count, [])
        assert (second.rows.tolist(), second.rejected) == ([*range(count)], [])
        assert second.ids == [f"{n}" for n in reversed(ours)]
        np.testing.assert_array_equal(second.instances, instances[list(reversed(ours))])


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
        ({"unpaired": "drop"}, "'unpaired' is 'drop', expected 'reject' or 'run'"),
        ({"data_options": 1}, "data_options"),
        ({"data": "x"}, "'x'"),
    ],
)
def test_wrong_options_are_refused(
    new_codec: Callable[..., PairsCodec], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(CodecError, match=sentence):
        new_codec(**options)


def test_an_id_that_cannot_be_written_is_refused(new_codec: Callable[..., PairsCodec]) -> None:
    refused = new_codec().decode(batch((0, 0, b'{"id": "\\ud800", "type": "x.request"}', [])))

    assert [one.reason for one in refused.rejected] == [Reason.UNDECODABLE]


def test_the_rights_that_the_docs_give_a_worker_are_enough(redis_client: redis.Redis, redis_url: str) -> None:
    redis_client.execute_command("ACL", "SETUSER", "drift-worker", "on", ">secret", *_rights_of_a_worker())
    connection = RedisConnection(redis_url, username="drift-worker", password="secret")
    store = PairStore(connection, "drift")
    requests = Halves(["0", "1"], ["request"] * 2, ["0:0", "0:1"], [4, 4], b"halfhalf")
    store.bring("log", Meetings(["m"], ["request"], ["0:8"], ["1:8"]), requests, wait_ms=1, keep_ms=60_000)
    response = Halves(["0"], ["response"], ["1:0"], [4], b"half")
    answers = store.bring("log", Meetings(), response, wait_ms=1, keep_ms=60_000)
    while not (found := store.unpaired("log", [], 60_000)):
        pass
    store.unpaired("log", [half.name for half in found], 60_000)
    connection.close()
    redis_client.execute_command("ACL", "DELUSER", "drift-worker")

    assert answers == ({}, {0: b"half"}, {})
    assert [half.event for half in found] == ["1"]


def _rights_of_a_worker() -> list[str]:
    return [rule for rule in redis_rights()["drift-worker"] if not rule.startswith(("on", ">"))]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle"))


@dataclass
class Letter:
    """A dead letter that is delivered when the test says so."""

    content: Content
    delivered: bool = False


@dataclass
class Letters:
    """Dead letters that are sent nowhere."""

    sent: list[Letter] = field(default_factory=list)

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]) -> list[Letter]:
        letters = [Letter(dead_letter(records, event)) for event in rejected]
        self.sent += letters
        return letters


def test_a_half_without_another_goes_to_the_dead_letters_and_is_settled_when_they_are_delivered(
    tiny: TinyDetector, redis_client: redis.Redis, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    request, response = (sample(f"kserve_logger_{half}") for half in ("request", "response"))
    connection, letters, instruments = RedisConnection(redis_url), Letters(), Instruments()
    pipeline = _pipeline(tiny.path, connection, letters, instruments, within_seconds=0.01)
    record = Record(request.value, b"a key", request.headers, 7, 0)
    pipeline.count(pipeline.score(RecordBatch("log", [record])))
    unpaired = UnpairedHalves(PairStore(connection, "drift"), letters, instruments)
    while not letters.sent:
        unpaired.look(pipeline.watches)
    late = pipeline.score(RecordBatch("log", [Record(response.value, None, response.headers, 3, 1)]))
    unpaired.look(pipeline.watches)
    assert redis_client.hgetall("drift:{PAIRS:log}:unpaired") == {}

    letters.sent[0].delivered = True
    for _ in range(2):
        unpaired.look(pipeline.watches)
    connection.close()

    assert redis_client.hgetall("drift:{PAIRS:log}:unpaired") == {b"request": b"1"}
    assert redis_client.zcard("drift:{PAIRS:log}:waiting") == 0
    assert "request at 0:7" in caplog.text
    assert late.rejected == 1
    waited, came_late = (letter.content for letter in letters.sent)
    assert (waited.value, waited.key) == (request.value, b"a key")
    told = dict(waited.headers or [])
    assert told.items() >= dict(request.headers).items()
    assert told["drift-monitor-reason"] == b"unpaired"
    assert told["drift-monitor-detail"] == b"The request '6f1c' waited in vain for its response."
    assert (told["drift-monitor-partition"], told["drift-monitor-offset"]) == (b"0", b"7")
    assert b"came too late" in dict(came_late.headers or [])["drift-monitor-detail"]  # type: ignore[operator]
    labels = {"topic": "log", "reason": "unpaired"}
    assert instruments.registry.get_sample_value("drift_monitor_rejected_events_total", labels) == 2


def test_a_half_is_found_again_by_another_worker_if_the_first_does_not_settle_it(
    new_codec: Callable[..., PairsCodec], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.state.pair_store.SETTLE_MS", 1)
    new_codec(within_seconds=0.01).decode(batch(at(0, 7, sample("kserve_logger_request"))))
    connection = RedisConnection(redis_url)
    stores = [PairStore(connection, "drift") for _ in range(2)]
    found = []
    for store in stores:
        while not (halves := store.unpaired("log", [], 60_000)):
            pass
        found.append(halves)
    connection.close()

    assert found[0] == found[1]
    assert unpacked_record(found[1][0].content).value() == sample("kserve_logger_request").value


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_each_pair_is_counted_once_by_whichever_workers_in_whichever_order(
    tiny: TinyDetector, redis_url: str, seed: int
) -> None:
    events = tiny.calm(60, seed=5)
    halves = []
    for number, (x, p) in enumerate(zip(events.instances, events.predictions, strict=True)):
        halves += halves_of(f"{number}", x, p)
    rng = np.random.default_rng(seed)
    halves = [written_otherwise(half, int(rng.integers(10))) for half in halves]
    partitions: dict[int, list[Record]] = {0: [], 1: []}
    for place in rng.permutation(len(halves)):
        log = partitions[int(rng.integers(2))]
        value, told = halves[place]
        log.append(Record(value, None, told, len(log), 0 if log is partitions[0] else 1))

    connection = RedisConnection(redis_url)
    letters = Letters()
    workers = [_pipeline(tiny.path, connection, letters, Instruments()) for _ in range(2)]
    read = {0: 0, 1: 0}
    while any(read[number] < len(log) for number, log in partitions.items()):
        # A batch begins before where the last one ended, as after a crash, and sometimes is never counted.
        starts = {n: max(0, read[n] - int(rng.integers(6))) for n in partitions if rng.random() < 0.6}
        taken = {number: partitions[number][start : start + 15] for number, start in starts.items()}
        records = [record for log in taken.values() for record in log]
        worker = workers[int(rng.integers(2))]
        scored = worker.score(RecordBatch("log", records)) if records else None
        if scored is not None and rng.random() < 0.7:
            worker.count(scored)
            read.update({n: max(read[n], starts[n] + len(log)) for n, log in taken.items()})
    with MonitorState(redis_url) as state:
        counted = state.left_open()
    connection.close()

    assert letters.sent == []
    assert counted is not None
    np.testing.assert_allclose(np.sort(counted.scores), np.sort(events.scores), rtol=1e-4, atol=1e-6)


@dataclass
class Returns:
    """Requests that are sent again, delivered when the test says so."""

    sent: list[tuple[Letter, int | None]] = field(default_factory=list)

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        smaller: Iterable[Content] = (),
    ) -> PendingDelivery:
        letter = Letter(Content(value, key, headers))
        self.sent.append((letter, partition))
        return letter  # type: ignore[return-value]

    def send_all(self, topic: str, values: Sequence[bytes], keys: Sequence[bytes | None]) -> None:
        raise AssertionError("requests are returned one by one")

    def flush(self, timeout_seconds: float) -> None:
        raise AssertionError("nobody waits for returned requests")

    def records(self, offset: int) -> list[Record]:
        """What was sent, as it is read from this offset on."""
        return [
            Record(
                letter.content.value, letter.content.key, letter.content.headers, offset + n, partition or 0
            )
            for n, (letter, partition) in enumerate(self.sent)
        ]


@pytest.fixture
def connection(redis_url: str) -> Iterator[RedisConnection]:
    connection = RedisConnection(redis_url)
    yield connection
    connection.close()


def test_a_request_without_a_response_is_sent_again_and_scored_once(
    tiny: TinyDetector, connection: RedisConnection, redis_client: redis.Redis, redis_url: str
) -> None:
    events = tiny.calm(2, seed=5)
    halves = [
        halves_of(f"{n}", x, p)
        for n, (x, p) in enumerate(zip(events.instances, events.predictions, strict=True))
    ]
    letters, returns, instruments = Letters(), Returns(), Instruments()
    options = {"within_seconds": 0.01, "unpaired": "run"}
    pipeline = _pipeline(tiny.path, connection, letters, instruments, **options)
    (request, response), other = halves
    waiting = Record(request.value, b"a key", request.headers, 0, 1)
    pipeline.count(pipeline.score(RecordBatch("log", [waiting])))
    unpaired = [
        UnpairedHalves(PairStore(connection, "drift"), letters, instruments, ReturnedRequests(returns))
        for _ in range(2)
    ]
    while not returns.sent:
        unpaired[0].look(pipeline.watches)
    # A minute later nobody knows whether it has arrived, and another worker sends it once more.
    redis_client.zadd("drift:{PAIRS:log}:waiting", {"request 1:0 0": 0}, xx=True)
    while len(returns.sent) < 2:
        unpaired[1].look(pipeline.watches)
    copies = returns.records(offset=1)
    pair = [Record(half.value, None, half.headers, 3 + n, 1) for n, half in enumerate(other)]
    late = Record(response.value, None, response.headers, 5, 1)
    # Each batch is read again, as after a crash; one holds a pair beside the copies.
    for records in ([*copies, *pair], [waiting], [copies[1]], [copies[0], late]) * 2:
        pipeline.score(RecordBatch("log", records))
    pipeline.count(pipeline.score(RecordBatch("log", [*copies, *pair, late])))
    returns.sent[0][0].delivered = True
    for _ in range(2):
        unpaired[0].look(pipeline.watches)
    with MonitorState(redis_url) as state:
        counted = state.left_open()

    assert [partition for _, partition in returns.sent] == [1, 1]
    assert (copies[0].value(), copies[0].key()) == (request.value, b"a key")
    assert copies[0].headers() == [*request.headers, ("drift-monitor-returned-from", b"1:0")]
    assert counted is not None
    np.testing.assert_allclose(np.sort(counted.scores), np.sort(events.scores), rtol=1e-4, atol=1e-6)
    details = {dict(letter.content.headers or [])["drift-monitor-detail"] for letter in letters.sent}
    assert details == {b"The response '0' came too late: its request had waited in vain."}
    assert redis_client.hgetall("drift:{PAIRS:log}:unpaired") == {b"request": b"1"}
    assert redis_client.zcard("drift:{PAIRS:log}:waiting") == 0


def test_a_request_waits_until_a_worker_sends_it_again(
    new_codec: Callable[..., PairsCodec], redis_client: redis.Redis
) -> None:
    new_codec(within_seconds=0.01).decode(batch(at(0, 7, sample("kserve_logger_request"))))

    assert redis_client.hkeys("drift:{PAIRS:log}:halves") == [b"6f1c"]
    assert redis_client.ttl("drift:{PAIRS:log}:halves") == -1


def returned(offset: int) -> tuple[int, int, bytes, Headers]:
    request = sample("kserve_logger_request")
    return 0, offset, request.value, [*request.headers, ("drift-monitor-returned-from", b"0:7")]


@pytest.mark.parametrize("copies", [[[8, 9]], [[8], [9]], [[9], [8], [9]]])
def test_of_requests_sent_again_one_counts_though_redis_has_lost_the_request(
    new_codec: Callable[..., PairsCodec], copies: list[list[int]]
) -> None:
    decoded = [
        new_codec(unpaired="run").decode(batch(*(returned(offset) for offset in part))) for part in copies
    ]
    late = new_codec(unpaired="run").decode(batch(at(1, 3, sample("kserve_logger_response"))))

    counting = {
        offset: events.rows.tolist().count(row)
        for part, events in zip(copies, decoded, strict=True)
        for row, offset in enumerate(part)
    }
    assert counting == {copies[0][0]: 2, 17 - copies[0][0]: 0}
    assert decoded[0].predictions is not None
    assert np.isnan(decoded[0].predictions).all()
    assert decoded[0].instances.tolist() == sample("kserve_logger_request").instances.tolist()
    assert [one.rejected for one in decoded] == [[]] * len(copies)
    assert "came too late" in late.rejected[0].detail


def test_a_request_that_is_sent_again_meets_a_response_that_waits(
    new_codec: Callable[..., PairsCodec],
) -> None:
    new_codec().decode(batch(at(1, 3, sample("kserve_logger_response"))))
    for _ in range(2):
        events = new_codec(unpaired="run").decode(batch(returned(8)))
        assert events.rows.tolist() == [0, 0]
        assert events.predictions is not None
        assert events.predictions.tolist() == sample("kserve_logger_request").predictions.tolist()


def test_a_request_sent_again_is_rejected_where_it_is_not_to_be_scored(
    new_codec: Callable[..., PairsCodec],
) -> None:
    events = new_codec().decode(batch(returned(8), at(0, 9, sample("kserve_logger_request"))))

    assert [(one.row, one.reason) for one in events.rejected] == [(0, Reason.UNPAIRED)]
    assert events.rejected[0].detail == "The request '6f1c' waited in vain for its response."
    assert list(events.waiting) == [1]


def test_a_monitor_that_rejects_unpaired_requests_leaves_them_to_one_that_scores_them(
    tiny: TinyDetector, connection: RedisConnection, redis_url: str
) -> None:
    events = tiny.calm(1, seed=5)
    request, _ = halves_of("a", events.instances[0], events.predictions[0])
    copy = Record(request.value, None, [*request.headers, ("drift-monitor-returned-from", b"0:7")], 8, 0)
    letters = Letters()
    pipeline = _pipeline(tiny.path, connection, letters, Instruments(), {}, unpaired="run")
    pipeline.count(pipeline.score(RecordBatch("log", [copy])))

    assert letters.sent == []
    with MonitorState(redis_url) as scoring, MonitorState(redis_url, "m1") as rejecting:
        counted = scoring.left_open()
        assert rejecting.left_open() is None
        assert rejecting.counted() == scoring.counted() == {0: 9}
    assert counted is not None
    np.testing.assert_allclose(counted.scores, events.scores, rtol=1e-3, atol=1e-6)


def test_a_request_too_large_to_be_sent_again_is_rejected_when_it_is_read(
    new_codec: Callable[..., PairsCodec],
) -> None:
    request = sample("kserve_logger_request")
    sent: list[list[Content]] = []

    class SmallRecordsOnly(Returns):
        def send(self, *args: Any, smaller: Iterable[Content] = (), **kwargs: Any) -> PendingDelivery:
            sent.append(list(smaller))
            return super().send(*args, smaller=smaller, **kwargs)

    ReturnedRequests(SmallRecordsOnly()).send(batch(at(0, 7, request)))
    ((content,),) = sent
    (rejected,) = (
        new_codec(unpaired="run").decode(batch((0, 8, content.value, content.headers or []))).rejected
    )

    assert rejected.reason == Reason.UNDECODABLE
    assert dict(content.headers or [])["drift-monitor-truncated"] == str(len(request.value)).encode()


def written_otherwise(half: HalfRecord, way: int) -> HalfRecord:
    """Write a half as another producer might, or as most do."""
    value, told = half
    if way == 0:
        attributes = {name.removeprefix("ce_"): (text or b"").decode() for name, text in told}
        return HalfRecord(json.dumps({**attributes, "data": json.loads(value)}).encode(), [])
    others: dict[int, Headers] = {
        1: told[::-1],
        2: [*told, ("trace", b"1")],
        3: [("trace", None), *told],
        4: [("ce_id", b"overruled"), *told],
    }
    return HalfRecord(value, others.get(way, told))


def _pipeline(
    bundle: Path,
    connection: RedisConnection,
    letters: Letters,
    instruments: Instruments,
    *further: dict[str, Any],
    **options: Any,
) -> Pipeline:
    """Make a pipeline of a monitor with options of the format, and of one for each of ``further``."""
    configs = [
        MonitorConfig.model_validate(
            {
                "name": f"m{number or ''}",
                "input": {"topic": "log", "format": "pairs", "options": given},
                "detector": str(bundle),
                "window": {"size": 1000},
                "alerts": {"topic": "alerts"},
                "dead_letters": {"topic": "rejected"},
            }
        )
        for number, given in enumerate([options, *further])
    ]
    stores = RedisStores(connection, "drift")
    watches = open_watches(configs, stores, lambda *_: Delivered(), state=None)
    pipeline = Pipeline(
        watches,
        stores,
        letters,
        instruments=instruments,
        codec_services={"pairs": PairStore(connection, "drift")},
    )
    pipeline.attach()
    return pipeline


def test_halves_of_recorded_events_find_each_other_in_memory() -> None:
    halves = [at(0, 7, sample("kserve_logger_request")), at(1, 3, sample("kserve_logger_response"))]
    pairs = MemoryPairs()
    # Monitors that read alike share the pairs, but each in a codec of its own.
    codecs = [PairsCodec(SCHEMA, pairs=pairs) for _ in range(2)]
    for sent in ([[0], [1]], [[0, 1]]):
        found = [[len(codec.decode(batch(*(halves[n] for n in part)))) for codec in codecs] for part in sent]
        assert found[-1] == [2, 2]
