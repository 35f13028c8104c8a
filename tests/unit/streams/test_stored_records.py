"""Records that were made bytes are the same records again."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import plain_parts
from streams.records import Headers
from streams.stored_records import packed_records, unpacked_record

record_parts = pytest.importorskip("streams.record_parts", reason="nothing is compiled here")

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


@given(st.lists(st.tuples(KEYS, HEADERS, CONTENTS), max_size=4))
def test_compiled_or_not_they_are_the_same_bytes_and_columns(
    records: list[tuple[Any, Headers, bytes]],
) -> None:
    keys, headers, values = map(list, zip(*records, strict=True)) if records else ([], [], [])
    wanted = ("absent", *{name for told in headers for name, _ in told})
    found = []
    for way in (record_parts, plain_parts):
        lengths, packed = way.packed(keys, headers, values, lambda names: json.dumps(names).encode() + b"\n")
        columns = way.header_columns(headers, wanted)
        unpacked = way.unpacked(split(lengths, packed), wanted, json.loads)
        found.append((lengths, packed, columns, unpacked))

    assert found[0] == found[1]
    assert columns == [[dict(told).get(name) for told in headers] for name in wanted]
    assert unpacked == (columns, values)


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))))
def test_places_are_partition_and_offset(found: list[tuple[int, int]]) -> None:
    partitions = np.array([partition for partition, _ in found], dtype=np.int32)
    offsets = np.array([offset for _, offset in found], dtype=np.int64)
    expected = [f"{partition}:{offset}" for partition, offset in found]

    assert plain_parts.places(partitions, offsets) == record_parts.places(partitions, offsets) == expected


@pytest.mark.parametrize("end", [0, 8, 14, 17])
@pytest.mark.parametrize("way", [record_parts, plain_parts])
def test_bytes_that_break_off_are_refused(way: ModuleType, end: int) -> None:
    _, packed = packed_records([b"key"], [[("a", b"1")]], [b""])
    assert packed[:6] == b'["a"]\n'

    with pytest.raises(ValueError):  # noqa: PT011
        way.unpacked([packed[:end]], ("a",), json.loads)
    with pytest.raises(ValueError):  # noqa: PT011
        way.unpacked([b"\nabc"], ("a",), json.loads)
