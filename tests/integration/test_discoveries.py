"""A false discovery rate that workers keep together, with its state in a real Redis."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import redis

from detectors.promises.online_fdr import FdrState, OnlineFdr
from monitor.alerts.alert import Alert
from monitor.config import MonitorConfig
from monitor.history import read_verdicts
from monitor.pipeline import Pipeline
from monitor.stores.in_redis import RedisStores
from monitor.verdicts.discoveries import DiscoveryControl, Undecided
from monitor.verdicts.ledger import Delivered, Delivery
from monitor.verdicts.verdict import JudgedWindow, Verdict
from monitor.watch import open_watches
from streams.errors import RedisError, StateError
from streams.records import RecordBatch
from streams.state.decision_store import KEPT_MS, DecisionStore
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys, ProcedureKeys
from streams.state.windows import ClosedWindow, Pane
from tests.records_in_memory import InMemoryRecord
from tests.traffic import TinyDetector

Q = 0.1
STATE = ProcedureKeys("drift", "FDR", "0.1").state


@pytest.fixture
def connect(redis_url: str) -> Iterator[Callable[[], RedisConnection]]:
    """Open connections as workers of their own would have them."""
    opened: list[RedisConnection] = []

    def new() -> RedisConnection:
        opened.append(RedisConnection(redis_url))
        return opened[-1]

    yield new
    for connection in opened:
        connection.close()


def window(p_value: float, number: int, segment: str = "all", monitor: str = "m") -> Undecided:
    first, last = 10 * number, 10 * number + 9
    offsets = {0: (first, last)}
    verdict = Verdict(
        sequence=number + 1,
        size=10,
        start_ms=0,
        end_ms=1,
        offsets=offsets,
        statistic=0.5,
        p_value=p_value,
        threshold=0.0,
        drift=False,
        reference="sha256:0",
        mean=0.1,
        max=0.2,
        flagged_fraction=None,
        tested_ms=2,
    )
    scores = np.zeros(10, np.float32)
    closed = ClosedWindow(segment, number + 1, Pane(10, 0, 1, offsets, ()), {0: last + 1}, scores)
    return Undecided(monitor, JudgedWindow(closed, verdict))


def windows_of(count: int, seed: int, segment: str = "all", monitor: str = "m") -> list[Undecided]:
    """Windows of which every fifth has drifted."""
    rng = np.random.default_rng(seed)
    p_values = np.where(rng.random(count) < 0.2, rng.random(count) * 1e-5, rng.random(count))
    return [window(p, number, segment, monitor) for number, p in enumerate(p_values.tolist())]


def sequential(windows: Sequence[Undecided]) -> tuple[list[float], FdrState]:
    """Thresholds of one procedure that takes windows one after the other, and its state after them."""
    procedure = OnlineFdr(Q)
    state, thresholds = procedure.start(), []
    for one in windows:
        state, threshold = procedure.step(state, one.judged.verdict.p_value)
        thresholds.append(threshold)
    return thresholds, state


def stored_state(client: redis.Redis) -> FdrState:
    raw: Any = client.get(STATE)
    return FdrState.from_tuple(tuple(json.loads(raw)))


def test_two_workers_in_turn_decide_as_one_procedure_would(connect, redis_client) -> None:
    workers = [DiscoveryControl(Q, RedisStores(connect(), "drift").discoveries(Q)) for _ in range(2)]
    waiting = [windows_of(60, 1, "eu", "a"), windows_of(60, 2, "us", "b")]
    rng = np.random.default_rng(3)
    order: list[Undecided] = []
    decided: list[JudgedWindow] = []
    while any(waiting):
        turn, size = int(rng.integers(2)), int(rng.integers(1, 6))
        batch, waiting[turn] = waiting[turn][:size], waiting[turn][size:]
        order += batch
        decided += workers[turn].decide(batch)

    thresholds, state = sequential(order)
    assert [one.verdict.threshold for one in decided] == thresholds
    assert [one.verdict.drift for one in decided] == [
        one.judged.verdict.p_value <= threshold for one, threshold in zip(order, thresholds, strict=True)
    ]
    assert 10 < sum(one.verdict.drift for one in decided) < 40
    assert stored_state(redis_client) == state


def test_workers_at_the_same_moment_decide_as_one_procedure_in_the_order_stored(
    connect, redis_client
) -> None:
    """The state of this procedure is the list of all that it was asked; a decision is what came before."""

    def listing(raw: bytes, numbers: Sequence[float]) -> tuple[bytes, list[bytes]]:
        seen = json.loads(raw or b"[]")
        decisions = [json.dumps([*seen, *numbers[:i]]).encode() for i in range(len(numbers))]
        return json.dumps([*seen, *numbers]).encode(), decisions

    keys = ProcedureKeys("drift", "LIST", "x")
    found: dict[float, list[float]] = {}

    def work(worker: int) -> None:
        store = DecisionStore(connect(), keys)
        for batch in range(25):
            numbers = [float(worker * 1000 + batch * 10 + i) for i in range(3)]
            decisions = store.decide({str(number): number for number in numbers}, listing)
            found.update({float(name): json.loads(decision) for name, decision in decisions.items()})

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    raw: Any = redis_client.get(keys.state)
    order = json.loads(raw)
    assert len(order) == len(set(order)) == 4 * 25 * 3
    assert all(found[number] == order[:place] for place, number in enumerate(order))


def test_a_window_that_is_judged_again_keeps_its_decision(connect, redis_client) -> None:
    first, second = (DiscoveryControl(Q, RedisStores(connect(), "drift").discoveries(Q)) for _ in range(2))
    windows = windows_of(30, 4)
    decided = first.decide(windows)
    state = stored_state(redis_client)

    assert first.decide(windows) == decided
    assert second.decide(windows[::-1]) == decided[::-1]
    assert stored_state(redis_client) == state

    both = second.decide([*windows[20:], window(1e-9, 30)])
    assert both[:-1] == decided[20:]
    assert both[-1].verdict.threshold == OnlineFdr(Q).threshold(state)
    assert stored_state(redis_client).tests == 31


def test_windows_of_other_monitors_segments_references_and_numbers_are_not_mixed_up(
    connect, redis_client
) -> None:
    control = DiscoveryControl(Q, RedisStores(connect(), "drift").discoveries(Q))

    control.decide([window(0.9, 0), window(0.9, 0, "eu"), window(0.9, 0, "all", "other"), window(0.9, 1)])

    assert stored_state(redis_client).tests == 4


def test_monitors_with_another_rate_have_a_procedure_of_their_own(connect, redis_client) -> None:
    connection = connect()
    for control in (
        DiscoveryControl(Q, RedisStores(connection, "drift").discoveries(Q)),
        DiscoveryControl(0.2, RedisStores(connection, "drift").discoveries(0.2)),
    ):
        control.decide([window(1e-9, 0)])

    assert stored_state(redis_client).tests == 1
    assert redis_client.exists(ProcedureKeys("drift", "FDR", "0.2").state)


def test_decisions_are_forgotten_after_an_hour_and_the_state_is_not(connect, redis_client) -> None:
    DiscoveryControl(Q, RedisStores(connect(), "drift").discoveries(Q)).decide([window(0.5, 0)])

    (decision,) = redis_client.keys("drift:{FDR}:0.1:decision:*")
    assert KEPT_MS - 60_000 < redis_client.pttl(decision) <= KEPT_MS
    assert redis_client.pttl(STATE) == -1


def test_the_procedure_starts_over_when_redis_has_lost_its_data(connect, redis_client) -> None:
    control = DiscoveryControl(Q, RedisStores(connect(), "drift").discoveries(Q))
    (first, *_) = control.decide(windows_of(20, 5))
    redis_client.flushdb()

    (again,) = control.decide([window(0.5, 50)])

    assert again.verdict.threshold == first.verdict.threshold
    assert stored_state(redis_client).tests == 1


@pytest.mark.parametrize("raw", ["nonsense", "[1, 2]", "{}", '["a"]'])
def test_a_state_that_cannot_be_is_reported(connect, redis_client, raw) -> None:
    redis_client.set(STATE, raw)

    with pytest.raises(StateError, match="state of the FDR procedure in Redis cannot be read"):
        DiscoveryControl(Q, RedisStores(connect(), "drift").discoveries(Q)).decide([window(0.5, 0)])


def test_deciding_takes_one_round_trip_and_one_more_after_another_worker(connect) -> None:
    connections = [connect(), connect()]
    first, second = (
        DiscoveryControl(Q, RedisStores(connection, "drift").discoveries(Q)) for connection in connections
    )
    first.decide([window(0.5, 0)])  # Redis learns the script.

    def trips(control: DiscoveryControl, number: int) -> int:
        before = sum(connection.round_trips for connection in connections)
        control.decide(windows_of(8, number, f"segment {number}"))
        return sum(connection.round_trips for connection in connections) - before

    turns = [first, first, second, second, first]
    assert [trips(control, number) for number, control in enumerate(turns)] == [1, 1, 2, 1, 2]


WINDOW, BATCH = 20, 50


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="module")
def batches(tiny: TinyDetector) -> list[RecordBatch]:
    """Eight batches with 2 keys; the events of the last three are harmful."""
    values = [*tiny.calm(5 * BATCH, seed=1).values, *tiny.harmful(3 * BATCH, seed=2).values]
    records = [
        InMemoryRecord(value, f"segment-{row % 2}".encode(), offset_number=row)
        for row, value in enumerate(values)
    ]
    return [RecordBatch("events", records[i : i + BATCH]) for i in range(0, len(records), BATCH)]


class NoDeadLetters:
    """For events that are all valid."""

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[Any]) -> None:
        raise AssertionError(f"{len(rejected)} events were rejected: {rejected[0]}")


@pytest.fixture
def new_pipeline(tiny: TinyDetector, connect) -> Callable[..., tuple[Pipeline, RedisConnection]]:
    """Make a worker's pipeline of monitors ``m0``, ``m1`` ... with the given tests."""

    def make(
        *tests: dict[str, float], size: int = WINDOW, lease_ms: int = 10_000
    ) -> tuple[Pipeline, RedisConnection]:
        connection = connect()
        configs = [
            MonitorConfig.model_validate(
                {
                    "name": f"m{i}",
                    "input": {"topic": "events"},
                    "detector": str(tiny.path),
                    "segment_by": "key",
                    "window": {"size": size},
                    "test": test,
                    "alerts": {"topic": "alerts"},
                    "dead_letters": {"topic": "rejected"},
                }
            )
            for i, test in enumerate(tests)
        ]
        stores = RedisStores(connection, "drift", lease_ms)
        watches = open_watches(configs, stores, deliver_at_once, state=None)
        pipeline = Pipeline(watches, stores, NoDeadLetters(), claim_every_seconds=0.0)
        pipeline.attach()
        return pipeline, connection

    return make


def deliver_at_once(topic: str, alert: Alert) -> Delivery:
    return Delivered()


def verdicts(connection: RedisConnection, monitor: str) -> list[Verdict]:
    keys = MonitorKeys("drift", monitor)
    return [verdict for key in (0, 1) for verdict in read_verdicts(connection, keys, f"segment-{key}")]


def test_monitors_share_one_procedure_and_harmful_windows_are_its_discoveries(
    new_pipeline, batches, redis_client
) -> None:
    pipeline, connection = new_pipeline({"fdr": Q}, {"fdr": Q, "alternative": "two-sided"}, {"p_val": 0.01})

    for batch in batches:
        pipeline.count(pipeline.score(batch))
    pipeline.settle()

    found = [*verdicts(connection, "m0"), *verdicts(connection, "m1")]
    state = stored_state(redis_client)
    assert (state.tests, state.discoveries) == (len(found), sum(verdict.drift for verdict in found))
    assert all(verdict.drift == (verdict.p_value <= verdict.threshold) for verdict in found)
    harmful = [verdict for verdict in found if verdict.offsets[3][0] >= 5 * BATCH]
    clean = [verdict for verdict in found if verdict.offsets[3][1] < 5 * BATCH]
    assert len(harmful) >= 12
    assert all(verdict.drift for verdict in harmful)
    assert sum(verdict.drift for verdict in clean) <= 1
    assert len({verdict.threshold for verdict in found}) > len(found) / 2
    assert {verdict.threshold for verdict in verdicts(connection, "m2")} == {0.01}
    assert pipeline.unsettled() == 0


@pytest.mark.parametrize(
    ("tests", "size", "extra"),
    [
        ([{"fdr": Q}], 5, 1),
        ([{"fdr": Q}, {"fdr": Q}, {"p_val": 0.01}], 5, 1),
        ([{"fdr": Q}], 1000, 0),
        ([{"p_val": 0.01}], 5, 0),
    ],
)
def test_a_batch_takes_one_more_round_trip_only_if_windows_of_such_monitors_close(
    new_pipeline, batches, tests, size, extra
) -> None:
    pipeline, connection = new_pipeline(*tests, size=size)
    for batch in batches[:2]:  # Redis learns the scripts.
        pipeline.count(pipeline.score(batch))
    trips = connection.round_trips

    for batch in batches[2:6]:
        pipeline.count(pipeline.score(batch))

    assert connection.round_trips - trips == 4 * (1 + extra)


def test_windows_of_a_worker_that_died_undelivered_get_the_decision_they_had(
    new_pipeline, batches, redis_client
) -> None:
    dead, _ = new_pipeline({"fdr": Q}, lease_ms=1)
    for batch in batches:
        dead.count(dead.score(batch))
    before = {
        (settlement.segment, verdict.sequence): verdict.threshold
        for watch in dead.watches
        for settlement in watch.ledger.settlements()
        for verdict in map(Verdict.decode, settlement.verdicts)
    }
    state = stored_state(redis_client)
    assert before

    heir, connection = new_pipeline({"fdr": Q}, lease_ms=1)
    heir.tick()
    heir.settle()

    after = {
        (f"segment-{key}", verdict.sequence): verdict.threshold
        for key in (0, 1)
        for verdict in read_verdicts(connection, MonitorKeys("drift", "m0"), f"segment-{key}")
    }
    assert before.items() <= after.items()
    assert stored_state(redis_client) == state
    assert redis_client.hlen(MonitorKeys("drift", "m0").closed) == 0


def test_windows_that_could_not_be_decided_are_decided_later(new_pipeline, batches, redis_client) -> None:
    pipeline, connection = new_pipeline({"fdr": Q})
    redis_client.rpush(STATE, "what a state is not")
    scored = pipeline.score(batches[0])
    with pytest.raises(RedisError):
        pipeline.count(scored)
    assert pipeline.unsettled() == 2
    redis_client.delete(STATE)

    pipeline.count(scored)
    pipeline.settle()

    assert [verdict.offsets[3] for verdict in verdicts(connection, "m0")] == [(0, 38), (1, 39)]
    assert stored_state(redis_client).tests == 2
    assert pipeline.unsettled() == 0
