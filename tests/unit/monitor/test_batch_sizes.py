"""Batches are bounded in records, and in bytes once the size of events is known."""

from __future__ import annotations

import pytest

from monitor.batch_sizes import FIRST_BATCH, MOST_BYTES, BatchSize
from tests.records_in_memory import batch_of


@pytest.mark.parametrize(
    ("value", "records"),
    [(b"x" * 100, 20_000), (b"x" * (MOST_BYTES // 1000), 1000), (b"x" * (MOST_BYTES + 1), 1), (b"", 20_000)],
)
def test_batches_hold_as_many_events_as_fit(value: bytes, records: int) -> None:
    size = BatchSize(20_000)
    assert size.records == FIRST_BATCH

    size.learn([batch_of([value] * 3)])

    assert size.records == records


def test_a_smaller_limit_of_the_config_holds_from_the_first_batch_on() -> None:
    size = BatchSize(70)
    assert size.records == 70

    size.learn([batch_of([b"{}"] * 70)])

    assert size.records == 70


def test_tombstones_and_silence_tell_nothing() -> None:
    size = BatchSize(20_000)
    size.learn([batch_of([b"x" * (MOST_BYTES // 200)])])

    size.learn([])
    size.learn([batch_of([None, None])])

    assert size.records == 200
