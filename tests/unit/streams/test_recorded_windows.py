"""Windows of a recorded stream age by the times of its events, whatever batches these come in."""

from __future__ import annotations

import numpy as np
import pytest

from streams.state.batches import Batch
from streams.state.recorded_windows import RecordedWindowStore
from streams.state.windows import ScoredRows, WindowPolicy


def stream(times_ms: list[int], partitions: list[int] | None = None) -> ScoredRows:
    n = len(times_ms)
    numbers = np.zeros(n, np.int32) if partitions is None else np.array(partitions, np.int32)
    offsets = np.array([np.count_nonzero(numbers[:row] == numbers[row]) for row in range(n)], np.int64)
    return ScoredRows(
        np.arange(n, dtype=np.float32), numbers, offsets, np.array(times_ms), np.arange(n), None
    )


def closed(policy: WindowPolicy, rows: ScoredRows, segments: list[str], sizes: list[int]) -> list[tuple]:
    """Feed rows in batches of these sizes, and return segment, sequence and scores of each closed window."""
    store = RecordedWindowStore(policy)
    found, start = [], 0
    for size in sizes:
        part = rows.take(np.arange(start, start + size))
        ends = {int(p): int(o) + 1 for p, o in zip(part.partitions, part.offsets, strict=True)}
        call = store.append_call(Batch(part, segments[start : start + size], ends))
        assert call is not None
        appended = store.append_reply(Batch(part, None, ends), call())
        found += [(w.segment, w.sequence, w.scores.tolist()) for w in appended.closed]
        start += size
    return found


def test_windows_close_at_their_age_in_the_middle_of_a_batch() -> None:
    policy = WindowPolicy(4, 4, min_size=2, max_age_ms=10_000)
    times = [0, 1_000, 2_000, 13_000, 14_000, 14_500, 14_600, 40_000, 90_000]
    found = closed(policy, stream([60_000 + time for time in times]), ["all"] * 9, [9])
    # One at its age, one that is full; the last two are open: alone, a score is too few.
    assert found == [("all", 1, [0.0, 1.0, 2.0]), ("all", 2, [3.0, 4.0, 5.0, 6.0])]


@pytest.mark.parametrize("max_age_ms", [None, 3_000, 500_000])
def test_batches_make_no_difference(max_age_ms: int | None) -> None:
    rng = np.random.default_rng(5)
    n = 600
    times = np.cumsum(rng.integers(0, 900, n)) + rng.integers(0, 300, n)
    rows = stream(times.tolist(), rng.integers(0, 3, n).tolist())
    segments = [f"s{number}" for number in rng.integers(0, 4, n)]
    policy = WindowPolicy(20, 10, min_size=3, max_age_ms=max_age_ms)
    at_once = closed(policy, rows, segments, [n])
    in_pieces = closed(policy, rows, segments, [1, 7, 92, 250, 250])

    def by_segment(found: list[tuple]) -> dict[str, list[tuple]]:
        return {name: [one for one in found if one[0] == name] for name in set(segments)}

    assert by_segment(at_once) == by_segment(in_pieces)
    assert len(at_once) > 40
