"""How rows fill, slide and close windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import StateError
from streams.state.windows import OpenWindow, ScoredRows, WindowPolicy, close_aged, fill


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


def test_tumbling_window_closes_when_full_and_starts_the_next_with_what_is_left():
    filling = fill(OpenWindow(), rows(0, 25), WindowPolicy(10, 10, examples=2), now_ms=1)

    assert [closing.sequence for closing in filling.closings] == [1, 2]
    second = filling.closings[1].pane
    assert (second.count, second.start_ms, second.end_ms, second.offsets) == (10, 100, 190, {0: (10, 19)})
    assert [(example.id, example.score) for example in second.examples] == [
        ("event-19", 19),
        ("event-18", 18),
    ]
    assert (filling.window.sequence, filling.window.count, filling.rest) == (3, 5, slice(20, 25))


@given(
    hop=st.sampled_from([1, 2, 3, 6]),
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12),
)
def test_every_window_holds_its_own_run_of_rows_however_they_arrive(hop: int, sizes: list[int]):
    policy = WindowPolicy(6, hop)
    window, taken, closed = OpenWindow(), 0, []
    for size in sizes:
        filling = fill(window, rows(taken, size), policy, now_ms=1)
        closed += filling.closings
        window, taken = filling.window, taken + size

    assert [closing.sequence for closing in closed] == list(range(1, len(closed) + 1))
    for index, closing in enumerate(closed):
        first = index * hop
        assert closing.pane.offsets == {0: (first, first + 5)}
        assert (closing.pane.start_ms, closing.pane.end_ms) == (first * 10, first * 10 + 50)
        assert [example.offset for example in closing.pane.examples] == list(range(first + 5, first, -1))
    expected = 0 if taken < 6 else (taken - 6) // hop + 1
    assert len(closed) == expected
    assert window.count == taken - expected * hop


def test_window_remembers_the_offsets_of_each_partition():
    both = rows(0, 6)._replace(partitions=np.array([0, 1, 0, 1, 2, 0], np.int32))

    filling = fill(OpenWindow(), both, WindowPolicy(6, 6), now_ms=1)

    assert filling.closings[0].pane.offsets == {0: (0, 5), 1: (1, 3), 2: (4, 4)}


def test_window_survives_its_encoding():
    window = fill(OpenWindow(), rows(0, 25), WindowPolicy(10, 5), now_ms=77).window

    assert OpenWindow.decode(window.encode()) == window
    assert window.encode().split(b" ")[0].decode() == window.token


@pytest.mark.parametrize("raw", [b"", b"x", b"1:2 {", b"1:2 [1,2,[[3]]]", b"a:b [0,0,[]]"])
def test_unreadable_window_is_an_error_that_shows_it(raw: bytes):
    with pytest.raises(StateError, match="cannot be read"):
        OpenWindow.decode(raw)


class TestAge:
    policy = WindowPolicy(10, 5, min_size=3, max_age_ms=1000)

    def test_partial_window_closes_when_old_enough(self):
        window = fill(OpenWindow(), rows(0, 4), self.policy, now_ms=500).window

        assert close_aged(window, self.policy, now_ms=1499) is None
        closed = close_aged(window, self.policy, now_ms=1500)

        assert closed is not None
        assert closed.closings[0].pane.count == 4
        assert closed.window == OpenWindow(sequence=2)

    def test_no_verdict_on_fewer_than_min_size(self):
        window = fill(OpenWindow(), rows(0, 2), self.policy, now_ms=500).window

        assert close_aged(window, self.policy, now_ms=10**9) is None

    def test_clock_that_is_set_back_does_not_keep_a_window_open(self):
        hour_ms = 3_600_000
        window = fill(OpenWindow(), rows(0, 4), self.policy, now_ms=2 * hour_ms).window

        assert close_aged(window, self.policy, now_ms=2 * hour_ms - 999) is None
        assert close_aged(window, self.policy, now_ms=hour_ms) is not None

    def test_scores_shared_with_the_window_before_do_not_age(self):
        window = fill(OpenWindow(), rows(0, 10), self.policy, now_ms=500).window

        assert window.count == 5
        assert close_aged(window, self.policy, now_ms=10**9) is None

    def test_age_counts_from_the_first_score_of_its_own(self):
        window = fill(OpenWindow(), rows(0, 10), self.policy, now_ms=500).window
        window = fill(window, rows(10, 1), self.policy, now_ms=900).window
        window = fill(window, rows(11, 1), self.policy, now_ms=1800).window

        assert close_aged(window, self.policy, now_ms=1899) is None
        assert close_aged(window, self.policy, now_ms=1900) is not None


@pytest.mark.parametrize(("size", "hop", "min_size"), [(10, 3, 1), (0, 1, 1), (10, 10, 11), (10, 10, 0)])
def test_impossible_policies_are_refused(size: int, hop: int, min_size: int):
    with pytest.raises(ValueError, match=r"hop must divide|min_size must be"):
        WindowPolicy(size, hop, min_size)
