"""How rows fill, slide and close windows, held against windows that take one event at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import StateError
from streams.state.batches import Batch
from streams.state.memory_windows import MemoryWindowStore
from streams.state.open_windows import OpenWindows
from streams.state.planning import plan_rows
from streams.state.settling import Settlement
from streams.state.window_bytes import details, heads, new_window, open_count, read_window
from streams.state.windows import ClosedWindow, OpenWindow, ScoredRows, WindowPolicy
from tests.plain_windows import Event, PlainWindow, PlainWindows


def rows(first: int, count: int, partition: int = 0) -> ScoredRows:
    """Rows whose score, offset and time all tell their number."""
    numbers = np.arange(first, first + count)
    return ScoredRows(
        scores=numbers.astype(np.float32),
        partitions=np.full(count, partition, np.int32),
        offsets=numbers,
        times_ms=numbers * 10,
        rows=np.arange(count),
        ids=[f"event-{n}" for n in numbers],
    )


def as_rows(events: Sequence[Event]) -> ScoredRows:
    return ScoredRows(
        np.array([event.score for event in events], np.float32),
        np.array([event.partition for event in events], np.int32),
        np.array([event.offset for event in events], np.int64),
        np.array([event.time_ms for event in events], np.int64),
        np.arange(len(events)),
        [event.id for event in events],
    )


def append(store: MemoryWindowStore, added: ScoredRows, segments: Sequence[str] | None = None):
    ends = {int(p): int(o) + 1 for p, o in zip(added.partitions, added.offsets, strict=True)}
    appended = store.append(Batch(added, segments, ends))
    assert appended is not None
    return appended.closed


class Clock:
    """A clock that stands where it is put."""

    def __init__(self, now_ms: int = 1) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def test_tumbling_window_closes_when_full_and_starts_the_next_with_what_is_left():
    store = MemoryWindowStore(WindowPolicy(10, 10, examples=2))

    closed = append(store, rows(0, 25))

    assert [window.sequence for window in closed] == [1, 2]
    second = closed[1].pane
    assert (second.count, second.start_ms, second.end_ms, second.offsets) == (10, 100, 190, {0: (10, 19)})
    assert [(example.id, example.score) for example in second.examples] == [
        ("event-19", 19),
        ("event-18", 18),
    ]
    (third,) = append(store, rows(25, 5))
    assert (third.sequence, third.scores.tolist()) == (3, list(range(20, 30)))


POLICIES = st.builds(
    lambda hop, hops, examples, min_size, age: WindowPolicy(hop * hops, hop, min_size, age, examples),
    hop=st.integers(1, 5),
    hops=st.integers(1, 4),
    examples=st.integers(0, 3),
    min_size=st.just(1),
    age=st.sampled_from([None, 50]),
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["all", "a", "b b", "ü", "c"]),
        st.sampled_from([0.0, 0.25, 1.0, 3.5, float(np.float32(0.1))]),
        st.integers(0, 3),
        st.integers(0, 1000),
        st.sampled_from([None, "", "id", "\0", "é\ud800"]),
    ),
    max_size=40,
)


def streams(drawn: Sequence[Sequence[tuple[str, float, int, int, str | None]]]) -> list[list[Event]]:
    """Give the events of some batches their offsets."""
    ends = dict.fromkeys(range(4), 0)
    batches: list[list[Event]] = []
    for batch in drawn:
        batches.append([])
        for segment, score, partition, time_ms, name in batch:
            batches[-1].append(Event(segment, score, partition, ends[partition], time_ms, name))
            ends[partition] += 1
    return batches


@settings(max_examples=200, deadline=None)
@given(policy=POLICIES, drawn=st.lists(EVENTS, max_size=8), steps=st.lists(st.integers(0, 40), min_size=8))
def test_windows_are_those_of_one_event_at_a_time(policy: WindowPolicy, drawn: list, steps: list[int]):
    clock = Clock()
    store, plain = MemoryWindowStore(policy, clock=clock), PlainWindows(policy)
    for events, step in zip(streams(drawn), steps, strict=False):
        clock.now_ms += step
        found: list[ClosedWindow] = []
        if events:
            found += append(store, as_rows(events), [event.segment for event in events])
        aged = store.close_aged()
        found += [] if aged is None else aged.closed
        expected = [window for event in events for window in plain.add(event, clock.now_ms)]
        expected += plain.close_aged(clock.now_ms)
        order = {event.segment: i for i, event in reversed(list(enumerate(events)))}
        by_segment = sorted(expected, key=lambda window: order.get(window.segment, -1))
        assert sorted(map(PlainWindow.of, found), key=lambda w: order.get(w.segment, -1)) == by_segment


def test_segments_close_their_windows_in_the_order_in_which_they_appear():
    closed = append(MemoryWindowStore(WindowPolicy(2, 2)), rows(0, 6), ["z", "a", "m", "m", "a", "z"])

    assert [window.segment for window in closed] == ["z", "a", "m"]


def test_thousands_of_segments_at_once_are_those_of_one_event_at_a_time():
    rng = np.random.default_rng(5)
    policy = WindowPolicy(4, 2, examples=2)
    store, plain = MemoryWindowStore(policy), PlainWindows(policy)
    found, expected = [], []
    offset = 0
    for _ in range(3):
        events = []
        for number, score in zip(
            rng.integers(2000, size=4000).tolist(), rng.integers(50, size=4000), strict=True
        ):
            events.append(Event(f"s{number}", float(score), 0, offset, offset, str(offset)))
            offset += 1
        found += append(store, as_rows(events), [event.segment for event in events])
        expected += [window for event in events for window in plain.add(event, 1)]

    def place(window: PlainWindow) -> tuple[str, int]:
        return window.segment, window.sequence

    assert len(expected) > 2000
    assert sorted(map(PlainWindow.of, found), key=place) == sorted(expected, key=place)


@pytest.mark.parametrize("levels", [3, 1000])
def test_long_runs_with_and_without_ties_are_those_of_one_event_at_a_time(levels: int):
    rng = np.random.default_rng(6)
    policy = WindowPolicy(120, 60, examples=4)
    store, plain = MemoryWindowStore(policy), PlainWindows(policy)
    ends = [0, 0, 0]
    for size in (500, 3, 700):
        events = []
        for partition, score in zip(rng.integers(3, size=size), rng.integers(levels, size=size), strict=True):
            segment = "rare" if score == levels - 1 and len(events) % 40 == 0 else "frequent"
            offset, ends[partition] = ends[partition], ends[partition] + 1
            events.append(Event(segment, float(score), int(partition), offset, offset, None))
        found = append(store, as_rows(events), [event.segment for event in events])
        expected = [window for event in events for window in plain.add(event, 1)]
        assert [PlainWindow.of(window) for window in found] == expected


class TestBytes:
    @settings(max_examples=100, deadline=None)
    @given(policy=POLICIES, drawn=EVENTS.filter(bool))
    def test_open_windows_survive_their_encoding(self, policy: WindowPolicy, drawn: list):
        (events,) = streams([drawn])
        windows, plain = OpenWindows(policy.hop, policy.examples), PlainWindows(policy)
        names = [event.segment for event in events]
        plan = plan_rows(windows, policy, as_rows(events), names, 77)
        for event in events:
            plain.add(event, 77)

        packed = heads(plan.sequence, plan.count, plan.opened_ms, plan.filling, plan.partitions)
        sizes, described = details(plan.filling, plan.full)
        again = OpenWindows(policy.hop, policy.examples)
        for row, segment in enumerate(plan.segments):
            window = read_window(packed, described[: sizes[row]])
            expected = plain.segments[segment]
            assert (window.sequence, window.count) == (expected.sequence, len(expected.events))
            assert window.opened_ms == expected.opened_ms
            assert open_count(packed) == window.count
            again.learn(segment, window)
            partial = [pane for pane in window.panes if pane.count < policy.hop]
            packed = packed[40 + 20 * sum(len(pane.offsets) for pane in partial) :]
            described = described[sizes[row] :]
        assert (packed, described) == (b"", b"")
        plan.carry_out(windows)
        assert again.full == windows.full
        places = again.rows(plan.segments)
        assert again.filling.take(places).panes(again.partitions) == plan.filling.panes(plan.partitions)

    def test_new_window_is_empty(self):
        assert read_window(new_window(7), None) == OpenWindow(7)

    @pytest.mark.parametrize("raw", [b"", b"x", b"not a window", b"1:2 [1,2,[[3]]]" * 5, bytes(60)])
    def test_unreadable_window_is_an_error_that_shows_it(self, raw: bytes):
        with pytest.raises(StateError, match="cannot be read"):
            read_window(raw, None)


class TestAge:
    policy = WindowPolicy(10, 5, min_size=3, max_age_ms=1000)

    def test_partial_window_closes_when_old_enough(self):
        store = MemoryWindowStore(self.policy, clock=(clock := Clock(500)))
        append(store, rows(0, 4))

        clock.now_ms = 1499
        assert store.close_aged() is None
        clock.now_ms = 1500
        aged = store.close_aged()

        assert aged is not None
        assert [window.scores.tolist() for window in aged.closed] == [[0, 1, 2, 3]]
        assert [w.sequence for w in append(store, rows(4, 10))] == [2]

    def test_no_verdict_on_fewer_than_min_size(self):
        store = MemoryWindowStore(self.policy, clock=(clock := Clock(500)))
        append(store, rows(0, 2))

        clock.now_ms = 10**9
        assert store.close_aged() is None

    def test_clock_that_is_set_back_does_not_keep_a_window_open(self):
        hour_ms = 3_600_000
        store = MemoryWindowStore(self.policy, clock=(clock := Clock(2 * hour_ms)))
        append(store, rows(0, 4))

        clock.now_ms = 2 * hour_ms - 999
        assert store.close_aged() is None
        clock.now_ms = hour_ms
        assert store.close_aged() is not None

    def test_scores_shared_with_the_window_before_do_not_age(self):
        store = MemoryWindowStore(self.policy, clock=(clock := Clock(500)))
        append(store, rows(0, 10))

        clock.now_ms = 10**9
        assert store.close_aged() is None

    def test_age_counts_from_the_first_score_of_its_own(self):
        store = MemoryWindowStore(self.policy, clock=(clock := Clock(500)))
        for first, count, now_ms in [(0, 10, 500), (10, 1, 900), (11, 1, 1800)]:
            clock.now_ms = now_ms
            append(store, rows(first, count))

        clock.now_ms = 1899
        assert store.close_aged() is None
        clock.now_ms = 1900
        assert store.close_aged() is not None


class TestMemoryStore:
    def test_repeated_events_are_skipped(self):
        store = MemoryWindowStore(WindowPolicy(10, 10))
        append(store, rows(0, 7))

        assert store.append(Batch(rows(0, 7), None, {0: 7})) is None
        (closed,) = append(store, rows(5, 7))

        assert closed.scores.tolist() == list(range(10))
        assert store.counted(0) == 12

    def test_verdicts_are_settled_in_order_and_once(self):
        store = MemoryWindowStore(WindowPolicy(10, 10), history=1)
        closed = append(store, rows(0, 20))

        def settle(settlement: Settlement):
            return store.settle_reply([settlement], store.settle_call([settlement])()).refused

        assert settle(Settlement("all", 1, b"2 []", closed[1:], [b"v2"])) == {"all": None}
        assert settle(Settlement("all", 0, b"1 []", closed[:1], [b"v1"])) == {}
        assert settle(Settlement("all", 0, b"1 []", closed[:1], [b"v1"])) == {"all": b"1 []"}
        assert settle(Settlement("all", 1, b"2 []", closed[1:], [b"v2"])) == {}
        assert store.verdicts("all") == [b"v2"]
        assert store.alert_states(["all", "other"]) == {"all": b"2 []", "other": None}


@pytest.mark.parametrize(("size", "hop", "min_size"), [(10, 3, 1), (0, 1, 1), (10, 10, 11), (10, 10, 0)])
def test_impossible_policies_are_refused(size: int, hop: int, min_size: int):
    with pytest.raises(ValueError, match=r"hop must divide|min_size must be"):
        WindowPolicy(size, hop, min_size)
