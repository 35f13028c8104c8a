"""Event times in all the ways that RFC 3339 writes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codecs.event_time import EARLIEST_MS, LATEST_MS, parse_times_ms, times_ms

NOON_MS = 1_795_176_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T12:00:00Z", NOON_MS),
        ("2026-11-20t12:00:00z", NOON_MS),
        ("2026-11-20 12:00:00Z", NOON_MS),
        ("2026-11-20T12:00:00.5Z", NOON_MS + 500),
        ("2026-11-20T12:00:00.123456789Z", NOON_MS + 123),
        ("2026-11-20T12:00:00.9999Z", NOON_MS + 999),
        ("2026-11-20T14:00:00+02:00", NOON_MS),
        ("2026-11-20T07:15:00.25-04:45", NOON_MS + 250),
        ("2026-11-20T11:59:60Z", NOON_MS),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("1970-01-01T00:00:00-00:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
        ("0000-01-01T00:00:00Z", EARLIEST_MS),
        ("9999-12-31T23:59:59.999Z", LATEST_MS),
    ],
)
def test_a_time_is_read(text, expected):
    read, readable = parse_times_ms([text])

    assert readable.tolist() == [True]
    assert read.tolist() == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-20",
        "2026-11-20T12:00:00",
        "2026-11-20T12:00Z",
        "2026-11-20T12:00:00.Z",
        "2026-11-20T12:00:00,5Z",
        "2026-11-20T12:00:00.5x5Z",
        "2026-11-20T12:00:00+0200",
        "2026-11-20T12:00:00+24:00",
        "2026-11-20T12:00:00*02:00",
        "2026-11-20T24:00:00Z",
        "2026-11-20T12:60:00Z",
        "2026-11-20T12:00:61Z",
        "2026-13-20T12:00:00Z",
        "2026-00-20T12:00:00Z",
        "2026-11-31T12:00:00Z",
        "2026-11-00T12:00:00Z",
        "2023-02-29T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2026/11/20T12:00:00Z",
        "2026-11-20x12:00:00Z",
        "2026-11-20T12-00-00Z",
        "+026-11-20T12:00:00Z",
        "\uff12026-11-20T12:00:00Z",
        " 2026-11-20T12:00:00",
        "2026-11-20T12:00:00\x00",
    ],
)
def test_anything_else_is_not(text):
    read, readable = parse_times_ms(["2026-11-20T12:00:00Z", text])

    assert readable.tolist() == [True, False]
    assert read.tolist() == [NOON_MS, 0]


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS)


@given(st.lists(MOMENTS, min_size=1, max_size=8))
def test_columns_agree_with_the_standard_library(moments):
    read, readable = parse_times_ms([moment.isoformat() for moment in moments])

    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert readable.all()
    assert read.tolist() == [(moment - epoch) // timedelta(milliseconds=1) for moment in moments]


def test_a_column_may_mix_texts_integers_and_nothing():
    read, has_time, unreadable = times_ms(["2026-11-20T12:00:00Z", None, 17, "soon", 10**18, LATEST_MS])

    assert read.tolist() == [NOON_MS, 0, 17, 0, 0, LATEST_MS]
    assert has_time.tolist() == [True, False, True, False, False, True]
    assert unreadable.tolist() == [False, False, False, True, True, False]


def test_texts_of_any_length_take_little_time() -> None:
    longest = f"2026-11-20T12:00:00.{'1' * 43}Z"
    texts = [longest, f"{longest[:-1]}1Z", "2026-11-20T12:00:00." + "1" * 1_000_000 + "Z"]
    texts += [f"{'1' * length}Z" for length in range(3000)]

    assert parse_times_ms(texts)[1].nonzero()[0].tolist() == [0]
