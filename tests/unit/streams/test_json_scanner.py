"""The compiled scanner reads what is usual, exactly, and leaves the rest alone."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.codecs.columns import EventColumns
from streams.codecs.json import column_scanner
from streams.codecs.json.codec import JsonCodec
from streams.events import EventFields, EventSchema
from tests.records_in_memory import batch_of

pytestmark = pytest.mark.usefixtures("compiled")

TABULAR = EventSchema((3,), 2)
NUMBERS = {"instance": [1, 2.5, -3e2], "prediction": [0.25, 0.75]}
FULL = {**NUMBERS, "id": "6f1c", "time": "2026-11-20T12:00:00Z", "model": "m", "segment": "ü"}
BELOW = EventFields(instance="data.x", prediction="data.out.y", id="id", segment="data.region")


def scan(*values: bytes | None, schema: EventSchema = TABULAR) -> tuple[EventColumns, list[int]]:
    """Return what is read of values, and the rows that are left."""
    scanner = column_scanner.column_scanner(schema)
    assert scanner is not None
    columns, _, left = scanner.read(list(values))
    return columns, left


@pytest.mark.parametrize(
    ("event", "schema"),
    [
        (NUMBERS, TABULAR),
        (FULL, TABULAR),
        ({**FULL, "id": 7, "time": 1_763_640_000_000, "model": None, "segment": None}, TABULAR),
        ({**FULL, "note": {"a": [1, {"b": None}], "c": {}, "d": []}, "ok": [True, False, -0.5e-3]}, TABULAR),
        ({**FULL, "prediction": "none of ours"}, EventSchema((3,), 2, prediction_required=False)),
        ({**FULL, "instance": [[[1, 2, 3]], [[4, 5, 6]]]}, EventSchema((2, 1, 3), 2)),
        ({**FULL, "instance": [1, 2, 3, 4, 5, 6]}, EventSchema((2, 1, 3), 2)),
        ({**FULL, "tag": True, "more": {"a": 5}}, EventSchema((3,), 2, others=("tag", "more.a", "id"))),
        (
            {"id": 1, "data": {"x": [1, 2, 3], "region": "eu", "out": {"z": 1, "y": [0, 1]}}},
            EventSchema((3,), 2, fields=BELOW),
        ),
    ],
)
def test_usual_events_are_all_read(event: dict[str, Any], schema: EventSchema) -> None:
    compact = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    backwards = json.dumps(dict(reversed(event.items())), indent=1, ensure_ascii=False).encode()

    columns, left = scan(compact, backwards, compact, schema=schema)

    assert left == []
    assert columns.rows.tolist() == [0, 1, 2]
    assert len(np.unique(columns.instances, axis=0)) == 1


def test_columns_hold_what_the_events_said() -> None:
    others = EventSchema((3,), 2, others=("time", "more"))
    event = {**FULL, "time": 1_763_640_000_000, "more": {}}
    escaped = json.dumps({**FULL, "note": "\n"}).encode()

    columns, left = scan(escaped, json.dumps({**FULL, "id": {}}).encode())
    assert (b"\\u00fc" in escaped, left) == (True, [1])
    assert (columns.ids, columns.models, columns.segments) == (["6f1c"], ["m"], ["ü"])
    assert columns.times_ms.tolist() == [1_795_176_000_000]
    columns, left = scan(json.dumps({**event, "segment": 7, "more": -1}).encode(), schema=others)
    assert (left, columns.segments, columns.times_ms.tolist()) == ([], ["7"], [1_763_640_000_000])
    assert columns.others == {"time": ["1763640000000"], "more": ["-1"]}


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"[]",
        b"{}",
        b"\xef\xbb\xbf" + json.dumps(NUMBERS).encode(),
        json.dumps({**NUMBERS, "id": "\ud800"}).encode(),
        json.dumps(NUMBERS).encode()[:-1] + b', "id": "\\x"}',
        json.dumps(NUMBERS).encode()[:-1] + b', "note": "\\',
        json.dumps({**NUMBERS, "\u00fc": 1}).encode(),
        json.dumps({**NUMBERS, "id": True}).encode(),
        json.dumps({**NUMBERS, "id": -0.0}).encode(),
        json.dumps({**NUMBERS, "note": 10**18}).encode(),
        json.dumps({**NUMBERS, "instance": [1, 2]}).encode(),
        json.dumps({**NUMBERS, "instance": [1, 2, 3, 4]}).encode(),
        json.dumps({**NUMBERS, "instance": [[1, 2, 3]]}).encode(),
        json.dumps({**NUMBERS, "prediction": None}).encode(),
        json.dumps({"prediction": [0, 1]}).encode(),
        json.dumps(NUMBERS).encode()[:-1] + b', "id": 1, "id": 1}',
        json.dumps(NUMBERS).encode()[:-1] + b', "a": "\xff"}',
        json.dumps(NUMBERS).encode()[:-1] + b', "\xff": 1}',
        json.dumps(NUMBERS).encode()[:-1] + b', "a": ' + b"[" * 100 + b"]" * 100 + b"}",
        json.dumps(NUMBERS).encode() + b"\0",
        json.dumps({**NUMBERS, "long": "x" * 2**20}).encode(),
    ],
)
def test_the_rest_is_left_alone(value: bytes | None) -> None:
    columns, left = scan(value, json.dumps(FULL, ensure_ascii=False).encode(), value)

    assert left == [0, 2]
    assert (columns.rows.tolist(), columns.ids) == ([1], ["6f1c"])


def test_no_beginning_of_an_event_passes_for_one() -> None:
    value = json.dumps({**FULL, "note": [True, None, {"a": -1.5e-7}]}, ensure_ascii=False).encode()
    beginnings = [value[:length] for length in range(len(value))]

    assert scan(*beginnings)[1] == list(range(len(value)))


DIGITS = st.text("0123456789", min_size=1, max_size=25)
DECIMALS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-"]),
        DIGITS,
        st.one_of(st.just(""), DIGITS.map(lambda digits: f".{digits}")),
        st.one_of(st.just(""), st.integers(-400, 400).map(lambda power: f"e{power}")),
    ),
)


def is_json(number: str) -> bool:
    try:
        json.loads(number)
    except json.JSONDecodeError:
        return False
    return True


@given(DECIMALS)
@example("-0")
@example("9007199254740993.0")
@example("0.1234567890123456789")
@example("123456789012345678")
@example("1e22")
@example("1e23")
@example("1.7976931348623157e308")
@example("1.0000000596046448")  # half way between two float32, but not as a double
def test_numbers_are_the_nearest_or_left(number: str) -> None:
    columns, left = scan(
        b'{"instance": [%s], "prediction": [1]}' % number.encode(), schema=EventSchema((1,), 1)
    )

    if not is_json(number):
        assert left == [0]
    elif not left:
        with np.errstate(over="ignore"):
            nearest = np.array([[json.loads(number)]], dtype=np.float64).astype(np.float32)
        assert columns.instances.tobytes() == nearest.tobytes()


@given(st.lists(st.floats(-1e300, 1e300, allow_subnormal=False), min_size=3, max_size=3))
def test_doubles_as_python_writes_them_are_not_left(numbers: list[float]) -> None:
    columns, left = scan(json.dumps({"instance": numbers, "prediction": [0, 1]}).encode())

    assert left == []
    with np.errstate(over="ignore"):
        assert columns.instances.tobytes() == np.array([numbers]).astype(np.float32).tobytes()


@pytest.mark.parametrize(
    "schema",
    [
        EventSchema((3,), 2, fields=EventFields(id="prediction")),
        EventSchema((3,), 2, fields=EventFields(segment="instance.name")),
        EventSchema((3,), 2, others=tuple(f"field{number}" for number in range(70))),
    ],
)
def test_what_it_has_no_name_for_is_read_without_it(schema: EventSchema) -> None:
    batch = JsonCodec(schema).decode(batch_of([json.dumps(NUMBERS).encode()]))

    assert column_scanner.column_scanner(schema) is None
    assert len(batch) + len(batch.rejected) == 1


def test_where_it_is_missing_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(column_scanner, "MISSING", ImportError("no scanner"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert column_scanner.column_scanner(TABULAR) is None

    (line,) = caplog.messages
    assert "(no scanner)" in line
    assert "C++17 compiler" in line
