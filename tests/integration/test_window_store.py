"""Windows in a real Redis: every score counted once, whoever delivers it and however often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.state.batches import Appended, Batch
from streams.state.exchanges import Exchange, in_step
from streams.state.founding import Foundation, OtherWindowsError, Shape, holding, reset
from streams.state.redis_connection import RedisConnection, RedisUnavailableError
from streams.state.redis_keys import MonitorKeys
from streams.state.settling import Settled, Settlement
from streams.state.window_store import StateLostError, WindowStore
from streams.state.windows import ClosedWindow, ScoredRows, WindowPolicy, last_settled
from tests.plain_windows import Event, PlainWindow, PlainWindows
from tests.servers.redis import RedisServer

KEYS = MonitorKeys("drift", "m")
T = TypeVar("T")


@pytest.fixture
def connection(redis_url: str):
    connection = RedisConnection(redis_url)
    yield connection
    connection.close()


@pytest.fixture
def new_store(connection: RedisConnection) -> Callable[..., WindowStore]:
    """Make stores as workers of their own would have them."""

    def make(policy: WindowPolicy | None = None, **options: Any) -> WindowStore:
        store = WindowStore(connection, KEYS, policy or WindowPolicy(10, 10), **options)
        store.attach()
        return store

    return make


def rows(first: int, last: int, partition: int = 0) -> ScoredRows:
    """Rows at offsets ``first`` to ``last`` (inclusive); the score is the offset."""
    offsets = np.arange(first, last + 1)
    return ScoredRows(
        scores=offsets.astype(np.float32),
        partitions=np.full(len(offsets), partition, np.int32),
        offsets=offsets,
        times_ms=offsets,
        rows=np.arange(len(offsets)),
        ids=None,
    )


def append(store: WindowStore, taken: ScoredRows, segments: Sequence[str] | None = None) -> Appended | None:
    """Append as the pipeline does; None when all of it was counted before."""
    ends = {int(p): int(taken.offsets[taken.partitions == p].max()) + 1 for p in set(taken.partitions)}
    batch = Batch(taken, segments, ends)
    while (call := store.append_call(batch)) is not None:
        appended = store.append_reply(batch, store._redis.run([call])[0])
        if appended is not None:
            return appended
    return None


def scores(windows: Sequence[ClosedWindow]) -> list[list[int]]:
    return [[int(score) for score in window.scores] for window in windows]


def assert_same(found: Sequence[ClosedWindow], expected: Sequence[PlainWindow]) -> None:
    def place(window: PlainWindow) -> tuple[str, int]:
        return window.segment, window.sequence

    assert sorted(map(PlainWindow.of, found), key=place) == sorted(expected, key=place)


def at_once(store: WindowStore, exchange: Exchange[T]) -> T:
    return in_step([exchange], store._redis.run)[0]


def claimed(store: WindowStore) -> Sequence[ClosedWindow]:
    found = at_once(store, store.claiming())
    return [] if found is None else found.closed


def settle(store: WindowStore, settlement: Settlement) -> Settled:
    reply = store._redis.run([store.settle_call([settlement])])[0]
    return store.settle_reply([settlement], reply)


class TestAppend:
    def test_windows_close_across_batches_and_workers(self, new_store):
        one, other = new_store(), new_store()

        assert append(one, rows(0, 3)).closed == []
        closed = append(other, rows(4, 12)).closed
        closed += append(one, rows(13, 29)).closed

        assert scores(closed) == [list(range(10)), list(range(10, 20)), list(range(20, 30))]
        assert [window.sequence for window in closed] == [1, 2, 3]
        assert [window.pane.offsets for window in closed] == [{0: (0, 9)}, {0: (10, 19)}, {0: (20, 29)}]

    def test_rejected_events_are_counted_once_whoever_meets_them(self, new_store, redis_client):
        one, zombie = new_store(), new_store()

        def reject(store: WindowStore, rejected: Sequence[tuple[int, int, str]], end: int) -> None:
            batch = Batch(rows(0, -1), None, {0: end}, rejected=rejected)
            while (call := store.append_call(batch)) is not None:
                if store.append_reply(batch, store._redis.run([call])[0]) is not None:
                    return

        def counted() -> dict[bytes, bytes]:
            return redis_client.hgetall(KEYS.rejected)

        reject(one, [(0, 1, "not_finite"), (0, 3, "too_large"), (0, 4, "not_finite")], 5)
        assert counted() == {b"not_finite": b"2", b"too_large": b"1"}

        reject(zombie, [(0, 3, "too_large"), (0, 4, "not_finite"), (0, 5, "wrong_shape")], 6)
        reject(one, [(0, 5, "wrong_shape")], 6)
        assert counted() == {b"not_finite": b"2", b"too_large": b"1", b"wrong_shape": b"1"}

    def test_redelivered_events_are_skipped(self, new_store):
        one, zombie = new_store(), new_store()
        append(one, rows(0, 7))

        assert append(zombie, rows(0, 7)) is None
        closed = append(zombie, rows(5, 11)).closed
        assert append(one, rows(8, 11)) is None

        assert scores(closed) == [list(range(10))]

    def test_partition_without_rows_advances_too(self, new_store):
        store = new_store()
        nothing = rows(0, 4).take(np.zeros(5, bool))
        batch = Batch(nothing, None, {0: 5})

        call = store.append_call(batch)
        assert store.append_reply(batch, store._redis.run([call])[0]) is not None

        assert store.counted(0) == 5

    def test_segments_have_windows_of_their_own(self, new_store):
        store = new_store(WindowPolicy(3, 3))

        closed = append(store, rows(0, 7), ["a", "b", "a", "b", "a", "b", "a", "c d"]).closed

        assert {window.segment: scores([window])[0] for window in closed} == {"a": [0, 2, 4], "b": [1, 3, 5]}
        closed = append(store, rows(8, 9), ["c d", "c d"]).closed
        assert [(window.segment, scores([window])) for window in closed] == [("c d", [[7, 8, 9]])]

    def test_sliding_windows_overlap(self, new_store):
        store = new_store(WindowPolicy(10, 5))

        closed = append(store, rows(0, 8)).closed + append(store, rows(9, 21)).closed

        assert scores(closed) == [list(range(10)), list(range(5, 15)), list(range(10, 20))]

    def test_many_workers_count_each_event_once(self, new_store, redis_url):
        """Four workers deliver all of four partitions, each in batches of its own, at the same time."""
        all_closed: list[ClosedWindow] = []
        stores = []
        for _ in range(4):
            store = WindowStore(RedisConnection(redis_url), KEYS, WindowPolicy(10, 10))
            store.attach()
            stores.append(store)

        def deliver(store: WindowStore, seed: int) -> None:
            rng = np.random.default_rng(seed)
            position = dict.fromkeys(range(4), 0)
            while position:
                partition = int(rng.choice(list(position)))
                first = position[partition]
                last = min(first + int(rng.integers(1, 40)), 1000) - 1
                appended = append(store, rows(first, last, partition))
                if appended is not None:
                    all_closed.extend(appended.closed)
                position[partition] = last + 1
                if last == 999:
                    del position[partition]

        threads = [threading.Thread(target=deliver, args=(store, seed)) for seed, store in enumerate(stores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        assert sorted(window.sequence for window in all_closed) == list(range(1, 401))
        counted = sorted(score for window in all_closed for score in scores([window])[0])
        assert counted == sorted(list(range(1000)) * 4)

    @pytest.mark.parametrize("at_a_time", [7, 1000])
    def test_open_window_of_a_thousand_scores_takes_less_than_6_kb(
        self, at_a_time: int, new_store, redis_client
    ):
        store = new_store(WindowPolicy(1001, 1001))
        ids = [f"{n:032x}" for n in range(1000)]
        for first in range(0, 1000, at_a_time):
            append(store, rows(first, min(first + at_a_time, 1000) - 1)._replace(ids=ids))

        assert sum(redis_client.memory_usage(key) for key in redis_client.keys("drift:*")) < 6000

    def test_one_round_trip_a_batch(self, new_store, connection):
        store = new_store()
        append(store, rows(0, 3))
        before = connection.round_trips

        append(store, rows(4, 5000), [f"s{i % 50}" for i in range(4997)])

        assert connection.round_trips == before + 1

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_windows_are_those_of_one_event_at_a_time(self, data: st.DataObject, new_store, redis_client):
        """Two workers take turns, or one does all, and settle what they closed now and then."""
        redis_client.flushdb()
        policy = data.draw(st.sampled_from([(1, 1), (3, 3), (6, 2), (40, 40), (300, 100)]))
        policy = WindowPolicy(*policy, examples=data.draw(st.integers(0, 3)), max_age_ms=1)
        now_ms = 1
        stores = [new_store(policy, clock=lambda: now_ms, lease_ms=0) for _ in range(2)]
        plain = PlainWindows(policy)
        after: dict[str, int] = {}
        ends = [0, 0]
        for _ in range(data.draw(st.integers(1, 9))):
            seed = data.draw(st.integers(0, 2**32 - 1))
            rng = np.random.default_rng(seed)
            store, partition = stores[int(rng.integers(2))], int(rng.integers(2))
            events = []
            for segment, score in zip(
                rng.choice(["all", "b b", "ü"], size=int(rng.integers(1, 400))).tolist(),
                rng.integers(9, size=400).tolist(),
                strict=False,
            ):
                offset, ends[partition] = ends[partition], ends[partition] + 1
                events.append(Event(segment, float(score), partition, offset, offset, str(score)))
            batch = ScoredRows(
                np.array([event.score for event in events], np.float32),
                np.full(len(events), partition, np.int32),
                np.array([event.offset for event in events]),
                np.array([event.time_ms for event in events]),
                np.arange(len(events)),
                [event.id for event in events],
            )
            appended = append(store, batch, [event.segment for event in events])
            expected = [window for event in events for window in plain.add(event, now_ms)]
            assert_same(appended.closed, expected)
            assert appended.depends_on == {partition: plain.low(partition)}
            if rng.random() < 0.3:
                now_ms += 1
                aged = at_once(store, store.aging())
                assert_same([] if aged is None else aged.closed, plain.close_aged(now_ms))
            if rng.random() < 0.5:
                for window in sorted(claimed(store), key=lambda window: window.sequence):
                    standing = b"%d []" % window.sequence
                    settlement = Settlement(
                        window.segment, after.get(window.segment, 0), standing, [window], [b"v"]
                    )
                    after[window.segment] = window.sequence
                    assert settle(store, settlement).refused == {}
                    plain.unsettled.remove(PlainWindow.of(window))


class TestLostState:
    def test_emptied_redis_is_noticed_by_the_next_batch(self, new_store, redis_client):
        store = new_store()
        append(store, rows(0, 7))
        redis_client.flushdb()

        with pytest.raises(StateLostError, match="lost the state of monitor 'm'"):
            append(store, rows(8, 9))
        with pytest.raises(StateLostError):
            store.counted(0)

    def test_worker_that_missed_the_loss_cannot_write_into_the_rebuilt_windows(self, new_store, redis_client):
        unaware = new_store()
        append(unaware, rows(0, 7))
        redis_client.flushdb()
        append(new_store(), rows(0, 7))

        with pytest.raises(StateLostError):
            append(unaware, rows(8, 9))

    def test_redis_restored_from_an_older_copy_is_noticed(self, new_store, redis_client):
        store = new_store()
        append(store, rows(0, 3))
        copy = {key: redis_client.dump(key) for key in redis_client.scan_iter()}
        append(store, rows(4, 7))
        for key, value in copy.items():
            redis_client.restore(key, 0, value, replace=True)

        with pytest.raises(StateLostError, match="up to offset 4 of partition 0, where 8 was reached"):
            append(store, rows(8, 9))

    def test_attached_again_it_counts_from_where_redis_stands(self, new_store, redis_client):
        store = new_store()
        append(store, rows(0, 7))
        redis_client.flushdb()
        store.attach()

        assert store.counted(0) is None
        assert scores(append(store, rows(0, 9)).closed) == [list(range(10))]


class TestSettle:
    def test_settled_windows_are_gone_and_their_verdicts_kept(self, new_store, redis_client):
        store = new_store(history=2)
        closed = append(store, rows(0, 34)).closed

        settled = settle(store, Settlement("all", 0, b"3 []", closed, [b"v1", b"v2", b"v3"]))

        assert redis_client.hgetall(KEYS.closed) == {}
        assert redis_client.lrange(KEYS.verdicts("all"), 0, -1) == [b"v3", b"v2"]
        assert at_once(store, store.reading_alerts(["all", "other"])) == {"all": b"3 []", "other": None}
        assert (settled.refused, settled.depends_on) == ({}, {0: 30})

    def test_marked_window_stays_until_the_next_that_is_marked(self, new_store, redis_client):
        store = new_store()
        closed = append(store, rows(0, 49)).closed

        def kept() -> tuple[int, list[list[int]]]:
            window = last_settled("all", redis_client.get(KEYS.marked("all")))
            return window.sequence, scores([window])

        settle(store, Settlement("all", 0, b"1 []", closed[:1], [b"v1"]))
        assert redis_client.get(KEYS.marked("all")) is None
        settle(store, Settlement("all", 1, b"4 []", closed[1:4], [b"v2", b"v3", b"v4"], marked=1))
        assert kept() == (3, scores(closed[2:3]))
        settle(store, Settlement("all", 4, b"5 []", closed[4:], [b"v5"]))
        assert kept() == (3, scores(closed[2:3]))

    def test_last_settled_window_stays_to_be_looked_at(self, new_store, connection, redis_client):
        store = new_store()
        closed = append(store, rows(0, 34), ["a"] * 30 + ["b"] * 5).closed
        before = connection.round_trips

        settle(store, Settlement("a", 0, b"[]", closed[:2], [b"v1", b"v2"]))

        last = last_settled("a", redis_client.get(KEYS.last("a")))
        assert (last.segment, last.sequence, last.pane) == ("a", 2, closed[1].pane)
        assert scores([last]) == scores([closed[1]])
        assert redis_client.get(KEYS.last("b")) is None
        assert connection.round_trips == before + 1

    def test_refused_settlement_leaves_the_last_window_as_it_is(self, new_store, redis_client):
        store = new_store()
        closed = append(store, rows(0, 19)).closed
        settle(store, Settlement("all", 0, b"[]", closed[:1], [b"v1"]))
        kept = redis_client.get(KEYS.last("all"))

        settle(store, Settlement("all", 7, b"[]", closed[1:], [b"v2"]))

        assert redis_client.get(KEYS.last("all")) == kept

    def test_second_settlement_of_the_same_window_is_refused(self, new_store):
        store = new_store()
        closed = append(store, rows(0, 9)).closed
        settlement = Settlement("all", 0, b"1 [1]", closed, [b"v"])
        settle(store, settlement)

        assert settle(new_store(), settlement).refused == {"all": b"1 [1]"}

    def test_settlement_out_of_order_is_refused(self, new_store):
        store = new_store()
        closed = append(store, rows(0, 19)).closed

        assert settle(store, Settlement("all", 1, b"2 []", closed[1:], [b"v2"])).refused == {"all": None}

    def test_low_watermark_is_the_oldest_unsettled_window(self, new_store):
        store = new_store()
        appended = append(store, rows(0, 24))

        assert appended.depends_on == {0: 0}
        settle(store, Settlement("all", 0, b"1 []", appended.closed[:1], [b"v"]))
        assert append(store, rows(25, 26)).depends_on == {0: 10}


class TestShape:
    @pytest.mark.parametrize("other", [WindowPolicy(20, 20), WindowPolicy(10, 5)])
    def test_windows_of_another_shape_are_refused(self, new_store, other):
        append(new_store(), rows(0, 14))

        with pytest.raises(OtherWindowsError, match="Redis holds windows of 10 of monitor 'm'"):
            new_store(other)
        assert scores(append(new_store(WindowPolicy(10, 10, min_size=2)), rows(15, 19)).closed) == [
            list(range(10, 20))
        ]

    def test_after_a_reset_what_was_not_settled_is_counted_in_the_new_windows(self, new_store, connection):
        store = new_store()
        closed = append(store, rows(0, 24), ["a"] * 22 + ["b"] * 3).closed
        settle(store, Settlement("a", 0, b"1 []", closed[:1], [b"v"]))

        reset(connection, KEYS, Shape(4, 4), lambda raw: Foundation(1, raw, {0: 10}))

        with pytest.raises(StateLostError):
            append(store, rows(25, 30))
        heir = new_store(WindowPolicy(4, 4))
        assert heir.counted(0) is None
        assert at_once(heir, heir.reading_alerts(["a", "b"])) == {"a": b"1 []", "b": None}
        again = append(heir, rows(5, 24), ["a"] * 17 + ["b"] * 3).closed
        assert [(window.segment, window.sequence) for window in again] == [("a", 2), ("a", 3), ("a", 4)]
        assert scores(again) == [list(range(10, 14)), list(range(14, 18)), list(range(18, 22))]

    def test_a_reset_gives_way_to_a_verdict_that_is_settled_in_the_meantime(self, new_store, connection):
        store = new_store()
        closed = append(store, rows(0, 29)).closed
        settle(store, Settlement("all", 0, b"1 []", closed[:1], [b"v"]))
        seen = []

        def settle_then_read(raw: bytes) -> Foundation:
            if not seen:
                settle(store, Settlement("all", 1, b"2 []", closed[1:2], [b"v"]))
            seen.append(raw)
            return Foundation(int(raw.split()[0]), raw, {0: 10 * int(raw.split()[0])})

        reset(connection, KEYS, Shape(4, 4), settle_then_read)

        assert seen == [b"1 []", b"2 []"]
        (window, _) = append(new_store(WindowPolicy(4, 4)), rows(10, 29)).closed
        assert (window.sequence, scores([window])) == (3, [[20, 21, 22, 23]])

    def test_what_a_reset_would_drop_can_be_seen(self, new_store, connection):
        assert holding(connection, KEYS) == (None, 0, 0, 0)
        append(new_store(WindowPolicy(10, 5)), rows(0, 16))

        assert holding(connection, KEYS) == (Shape(10, 5), 1, 7, 2)


class TestClaim:
    def test_window_of_a_dead_worker_is_taken_over_when_its_lease_ends(self, new_store):
        closed = append(new_store(lease_ms=0), rows(0, 9)).closed
        heir = new_store(lease_ms=60_000)

        (taken,) = claimed(heir)

        assert (taken.segment, taken.sequence, taken.pane) == ("all", 1, closed[0].pane)
        assert scores([taken]) == scores(closed)
        assert claimed(heir) == []

    def test_lease_protects_a_window_from_others(self, new_store):
        append(new_store(lease_ms=60_000), rows(0, 9))

        assert claimed(new_store(lease_ms=60_000)) == []

    def test_lease_from_before_the_clock_of_redis_was_set_back_does_not_last(self, new_store, redis_client):
        store = new_store(lease_ms=60_000)
        append(store, rows(0, 9))
        hour_ms = 3_600_000
        redis_client.zincrby(store.keys.leases, hour_ms, "1 all")

        assert [window.sequence for window in claimed(new_store(lease_ms=60_000))] == [1]


class TestAge:
    def test_partial_window_closes_by_age(self, new_store):
        store = new_store(WindowPolicy(10, 10, min_size=3, max_age_ms=0))
        append(store, rows(0, 3))

        appended = at_once(store, store.aging())

        assert scores(appended.closed) == [[0, 1, 2, 3]]
        assert at_once(store, store.aging()) is None
        assert scores(append(store, rows(4, 13)).closed) == [list(range(4, 14))]


def test_redis_that_is_gone_is_a_sentence_without_the_password(new_redis: Callable[..., RedisServer]):
    server = new_redis()
    port = server.url.rsplit(":", 1)[1].split("/")[0]
    connection = RedisConnection(f"redis://:s3cret@127.0.0.1:{port}/0", timeout_seconds=1)
    server.stop()

    with pytest.raises(RedisUnavailableError) as raised:
        connection.ping()

    assert "cannot be used right now" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_scripts_are_loaded_again_after_redis_forgot_them(connection, new_store, redis_client: redis.Redis):
    store = new_store()
    append(store, rows(0, 3))
    redis_client.script_flush()

    assert append(store, rows(4, 5)) is not None
