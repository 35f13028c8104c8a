"""Records that were made bytes are the same records again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records import Headers
from streams.stored_records import AlikeHeaders, packed_records, unpacked_columns, unpacked_record

CONTENTS = st.binary(max_size=5)
NAMES = st.text("ab\udc80\n", max_size=2)
HEADERS = st.lists(st.tuples(NAMES, st.none() | CONTENTS), max_size=4)
KEYS = st.none() | CONTENTS


def split(lengths: list[int], packed: bytes) -> list[bytes]:
    assert sum(lengths) == len(packed)
    ends = [sum(lengths[: n + 1]) for n in range(len(lengths))]
    return [packed[end - length : end] for end, length in zip(ends, lengths, strict=True)]


@given(st.lists(st.tuples(KEYS, HEADERS, CONTENTS), max_size=4))
def test_records_come_back_with_key_headers_and_value(records: list[tuple[Any, Headers, bytes]]) -> None:
    keys, headers, values = zip(*records, strict=True) if records else ((), (), ())
    found = [unpacked_record(one, "t", 3, 7) for one in split(*packed_records(keys, headers, values))]

    assert [(one.key(), one.headers(), one.value()) for one in found] == records
    assert {(one.topic(), one.partition(), one.offset()) for one in found} <= {("t", 3, 7)}


@st.composite
def alike(draw: st.DrawFn) -> tuple[list[bytes | None], list[Headers], list[bytes]]:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    count = draw(st.integers(1, 4))
    headers = [[(name, draw(CONTENTS)) for name in names] for _ in range(count)]
    return [draw(KEYS) for _ in headers], headers, [draw(CONTENTS) for _ in headers]


@given(alike(), st.data())
def test_headers_that_are_alike_make_the_same_bytes_and_are_read_in_columns(
    records: tuple[list[bytes | None], list[Headers], list[bytes]], data: st.DataObject
) -> None:
    keys, headers, values = records
    names = tuple(name for name, _ in headers[0])
    contents = [content for told in headers for _, content in told]
    kept = AlikeHeaders(
        names,
        [len(content or b"") for content in contents],
        [b"".join(content or b"" for _, content in told) for told in headers],
    )
    rows = data.draw(st.lists(st.integers(0, len(keys) - 1), min_size=1, unique=True).map(sorted))
    chosen = [[column[row] for row in rows] for column in (keys, headers, values)]
    lengths, packed = packed_records(*chosen)  # type: ignore[arg-type]

    assert packed_records(chosen[0], kept.take(rows), chosen[2]) == (lengths, packed)  # type: ignore[arg-type]
    wanted = ["absent", *names]
    found = unpacked_columns(split(lengths, packed), wanted)
    assert found is not None
    assert found[0] == [[dict(headers[row]).get(name) for row in rows] for name in wanted]
    assert found[1] == chosen[2]


@pytest.mark.parametrize(
    "headers",
    [
        [[("a", b"1")], [("b", b"1")]],
        [[("a", b"1")], [("a", b"1"), ("b", b"2")]],
        [[("a", b"1")], [("a", None)]],
        [[("a", b"1"), ("a", b"2")]] * 2,
    ],
)
def test_headers_that_are_not_alike_are_read_one_by_one(headers: list[Headers]) -> None:
    packed = split(*packed_records([None] * 2, headers, [b"x"] * 2))

    assert unpacked_columns(packed, ["a"]) is None
