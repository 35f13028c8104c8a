"""Events of the Open Inference Protocol that are scanned get the answer of the exact reader."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from streams.codecs.json.column_scanner import ColumnScanner
from streams.codecs.oip.codec import OipCodec
from streams.events import EventBatch, EventFields, EventSchema
from streams.records import Headers
from tests.batches import assert_same
from tests.codecs_in_python import without_scanner
from tests.records_in_memory import batch_of

pytestmark = pytest.mark.usefixtures("compiled")

SCHEMA = EventSchema((3,), 2)
ROUTED = EventSchema((3,), 2, fields=EventFields(segment="tenant"), others=("site",))
LENGTH = "Inference-Header-Content-Length"

Record = tuple[bytes | None, Headers]


def event(number: int, **changed: Any) -> dict[str, Any]:
    described = {
        "id": f"event {number} é",
        "time": f"2026-11-20T12:00:{number % 60:02}Z",
        "model_name": "m",
        "tenant": f"tenant {number % 3}",
        "site": f"site {number % 2}",
        "trace": f"{number}",
    }
    data = [number / 8, -number, 1e-3]
    tensors = {
        "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [data]}],
        "outputs": [{"name": "p", "shape": [1, 2], "datatype": "FP64", "data": [0.25, 0.75]}],
    }
    return described | tensors | changed


def plain(number: int, **changed: Any) -> bytes:
    return json.dumps(event(number, **changed), ensure_ascii=number % 2 == 0).encode()


def tensor(data: Any, shape: Any, **changed: Any) -> dict[str, Any]:
    described = {"name": "x", "shape": shape, "datatype": "FP32", "data": data} | changed
    return {key: value for key, value in described.items() if value is not ...}


def binary(
    number: int, dtype: str = "FP32", data: bytes | None = None, **changed: Any
) -> tuple[bytes, Headers]:
    """An event with its numbers behind the JSON."""
    kinds = {"FP": "<f", "INT": "<i", "UINT": "<u", "BOOL": "?"}
    letters = dtype.rstrip("0123456789")
    kind = kinds[letters] + (str(int(dtype[len(letters) :]) // 8) if letters != "BOOL" else "")
    instance = np.array([number % 100, 0, 3]).astype(kind).tobytes() if data is None else data
    prediction = np.array([0.25, 0.75], "<f8").tobytes()
    described = [
        ("inputs", "x", [1, 3], dtype, instance),
        ("outputs", "p", [1, 2], "FP64", prediction),
    ]
    tensors = {
        key: [{"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(data)}}]
        for key, name, shape, kind, data in described
    }
    return behind(event(number, **{**tensors, **changed}), instance + prediction)


def behind(described: dict[str, Any], data: bytes, blanks: int = 0) -> tuple[bytes, Headers]:
    text = json.dumps(described, ensure_ascii=False).encode() + b" " * blanks
    return text + data, [("x-trace", b"1"), (LENGTH, b"%d" % len(text))]


def decode(records: Sequence[Record], schema: EventSchema, **options: Any) -> EventBatch:
    """Decode records, and once more by the exact reader alone."""
    values, headers = zip(*records, strict=True)
    found = OipCodec(schema, **options).decode(batch_of(values, headers))
    with without_scanner():
        exact = OipCodec(schema, **options)
    assert_same(found, exact.decode(batch_of(values, headers)))
    return found


def left_of(
    records: Sequence[Record], monkeypatch: pytest.MonkeyPatch, schema: EventSchema = SCHEMA, **options: Any
) -> list[int]:
    """Decode records, and return the rows of those that the scanner leaves to the exact reader."""
    told: list[list[int]] = []
    read = ColumnScanner.read

    def noting(self: ColumnScanner, *given: Any) -> Any:
        columns, good, left = read(self, *given)
        told.append(left)
        return columns, good, left

    with monkeypatch.context() as patch:
        patch.setattr(ColumnScanner, "read", noting)
        decode(records, schema, **options)
    (left,) = told
    return left


FLAT = [1.5, -2, 3e-2]
SIX = [*FLAT, 4, 5, 6]
P = {"name": "p", "shape": [1, 2], "datatype": "FP64"}
TWO_PREDICTIONS = [{**P, "shape": [2, 2], "data": [[0.25, 0.75], [1, 0]]}]
OTHER = tensor(["a", None, {"b": [1]}], [3], name="y", datatype="BYTES")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"id": 7, "model_name": None, "time": 1_763_640_000_000},
        {"inputs": [tensor(FLAT, [3])]},
        {"inputs": [tensor(FLAT, [1, 3])]},
        {"inputs": [tensor([FLAT], [1, 3], parameters={"content_type": "np", "more": [1, {}]})]},
        {"inputs": [tensor([FLAT], [1, 3], parameters={}, note=None)]},
        {"inputs": [dict(reversed(tensor([FLAT], [1, 3]).items()))]},
        {"inputs": [tensor(FLAT, [3], name=...)]},
        {"inputs": [tensor([1, 0, 1], [3], datatype="BOOL")]},
        {"inputs": [tensor(SIX, [2, 3])], "outputs": TWO_PREDICTIONS},
        {"inputs": [tensor([FLAT, FLAT], [2, 3])], "outputs": TWO_PREDICTIONS},
        {"outputs": TWO_PREDICTIONS, "inputs": [tensor([FLAT, FLAT], [2, 3])]},
        {"tenant": "Größe \n", "site": True},
    ],
)
def test_usual_events_are_scanned(changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    records = [(plain(number, **changed), []) for number in range(5)]
    records.insert(2, (json.dumps(dict(reversed(event(1, **changed).items())), indent=1).encode(), []))

    assert left_of(records, monkeypatch, ROUTED) == []


def test_a_tensor_is_chosen_by_its_name_wherever_that_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    x = tensor([FLAT], [1, 3])
    lists = [[x, OTHER], [OTHER, x], [dict(reversed(x.items())), OTHER, OTHER]]
    records = [(plain(1, inputs=inputs), []) for inputs in lists]
    assert left_of(records, monkeypatch, input_tensor="x") == []
    assert len(decode(records, SCHEMA, input_tensor="x")) == 3

    for inputs in (
        [x, x],
        [OTHER],
        [],
        [tensor([FLAT], [1, 3], name="X")],
        [tensor([FLAT], [1, 3], name=...)],
    ):
        batch = decode([(plain(1, inputs=inputs), [])], SCHEMA, input_tensor="x")
        assert [bad.reason.value for bad in batch.rejected] == ["missing_field"]
    assert decode([(plain(1, inputs=[x, OTHER]), [])], SCHEMA).rejected


def test_images_are_flat_or_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = EventSchema((2, 2), 2)
    nested = [[1, 2], [3, 4]]
    shapes = [([nested], [1, 2, 2]), (nested, [2, 2]), ([1, 2, 3, 4], [2, 2]), ([[1, 2, 3, 4]], [1, 4])]
    records = [(plain(1, inputs=[tensor(data, shape)]), []) for data, shape in shapes]
    assert left_of(records, monkeypatch, schema) == []
    wrong = [([[1, 2], [3]], [2, 2]), (nested, [1, 4]), ([nested], [2, 2]), ([1, 2, 3, 4], [2, 2, 1])]
    records = [(plain(1, inputs=[tensor(data, shape)]), []) for data, shape in wrong]
    assert len(decode(records, schema).rejected) == len(records)


def test_blanks_behind_an_event_are_gone_past_once(monkeypatch: pytest.MonkeyPatch) -> None:
    padded = plain(1) + b" " * 900_000

    assert left_of([(padded, []), (padded + b"x", [])] * 20, monkeypatch) == [*range(1, 40, 2)]


def test_predictions_that_are_promised_take_no_memory() -> None:
    outputs = [{**P, "shape": [450_000, 2], "data": []}]
    value = json.dumps({"outputs": outputs}).encode() + b" " * 900_000

    (rejected,) = decode([(value, [])], EventSchema((224, 224, 3), 2)).rejected
    assert rejected.reason.value == "missing_field"


def test_a_name_is_compared_as_a_whole() -> None:
    inputs = [tensor(FLAT, [3], name="x")]

    assert decode([(plain(1, inputs=inputs), [])], SCHEMA, input_tensor="x\0y").rejected
    assert decode([(plain(1, inputs=inputs), [])], SCHEMA, input_tensor="xy").rejected


def test_many_instances_of_an_event_make_room_for_themselves() -> None:
    def many(count: int) -> Record:
        outputs = [{**P, "shape": [count, 2], "data": [0.25, 0.75] * count}]
        return plain(count, inputs=[tensor(FLAT * count, [count, 3])], outputs=outputs), []

    counts = [1, 700, 1, 0, 2, 5000, 1]
    batch = decode([many(count) for count in counts], ROUTED)
    assert np.bincount(batch.rows).tolist() == counts
    assert [bad.row for bad in batch.rejected] == [3]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"0.001", b"NaN"),
        (b"0.001", b"1e999"),
        (b"0.001", b'"1"'),
        (b"0.001", b"[1]"),
        (b"0.001", b"1,2"),
        (b"0.001", b""),
        (b"0.001", b"{}"),
        (b"0.001", b"true"),
        (b"0.001", b"01"),
        (b"0.75", b"0.5"),
        (b"event 1", b"event \\u00e9"),
        (b"event 1", b"event \\"),
        (b"event 1", b"event \\x"),
        (b"event 1", b"event \\ud800"),
        (b"event 1", b"event \\ud83d\\ude00"),
        (b"event 1", b"event \n"),
        (b"event 1", b"event \xff"),
        (b'"trace": "1', b'"trace": "\xff'),
        (b'"trace": "1', b'"trace": "\\ud800'),
        (b'"trace": "1', b'"trace": "", "id": "twice'),
        (b'"trace"', b'"tr\\u0061ce"'),
        (b'"id"', b'"\\u0069d"'),
        (b"12:00:01Z", b"25:00:00Z"),
        (b"12:00:01Z", b""),
        (b"FP32", b"FP99"),
        (b"FP32", b"FP3"),
        (b'"FP32"', b"32"),
        (b"[1, 3]", b"[1, 3, 1]"),
        (b"[1, 3]", b"[1.0, 3]"),
        (b"[1, 3]", b"[-1, 3]"),
        (b"[1, 3]", b"[0, 3]"),
        (b"[1, 3]", b"[9223372036854775807, 3]"),
        (b"[1, 3]", b"[900000000000000000, 3]"),
        (b"[1, 3]", b"[]"),
        (b"[1, 3]", b"3"),
        (b"[1, 3]", b'"[1, 3]"'),
        (b"[1, 3]", b"null"),
        (b'"name": "x"', b'"name": "x", "name": "x"'),
        (b'"name": "x"', b'"name": "x", "data": [1, 2, 3]'),
        (b'"name": "x"', b'"parameters": {"binary_data_size": 12}, "name": "x"'),
        (b'"name": "x"', b'"parameters": {"binary_data_size": 0}, "name": "x"'),
        (b'"name": "x"', b'"parameters": 5, "name": "x"'),
        (b'"name": "x"', b'"parameters": {"a"}, "name": "x"'),
        (b'"name": "x"', b'"parameters": {"a": 1, }, "name": "x"'),
        (b'"inputs": [', b'"inputs": [{}, '),
        (b'"inputs": [', b'"inputs": [5, '),
        (b'"outputs": [', b'"outputs": [], "more": ['),
        (b'"outputs": [', b'"outputs": null, "more": ['),
        (b'"outputs": [', b'"outputs": {"a": ['),
    ],
)
def test_an_odd_event_among_usual_ones_is_judged_as_alone(before: bytes, after: bytes) -> None:
    records: list[Record] = [(plain(number), []) for number in range(9)]
    assert before in (records[1][0] or b"")
    odd = (records[1][0] or b"").replace(before, after), []
    records[4] = records[7] = odd
    batch = decode(records, ROUTED)

    alone = decode([odd], ROUTED)
    assert [(one.reason, one.detail) for one in batch.rejected] == [
        (one.reason, one.detail) for one in alone.rejected
    ] * 2
    assert len(batch) + len(batch.rejected) == 9


@pytest.mark.parametrize("seed", range(5))
def test_damaged_events_get_the_answer_of_the_exact_reader(seed: int) -> None:
    rng = random.Random(seed)
    records: list[Record] = []
    for number in range(400):
        value, headers = binary(number) if rng.random() < 0.5 else (plain(number), [])
        damaged = bytearray(value or b"")
        if rng.random() < 0.5:
            at = rng.randrange(len(damaged))
            damaged[at : at + rng.randrange(3)] = rng.choice(
                [b'"', b"]", b"[", b",", b"1", b"\\", b"", b"e", b"\xff", b" ", b"}", b"\0"]
            )
        records.append((bytes(damaged), headers))
    assert decode(records, ROUTED).rejected


@pytest.mark.parametrize(
    "dtype", ["FP32", "FP64", *(f"{u}INT{8 * size}" for u in ("", "U") for size in (1, 2, 4, 8))]
)
def test_binary_data_are_scanned(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records: list[Record] = [binary(number, dtype) for number in range(20)]
    records[5] = plain(5), []

    assert left_of(records, monkeypatch, ROUTED) == []


@pytest.mark.parametrize("dtype", ["FP16", "BOOL"])
def test_binary_data_of_rarer_types_are_read(dtype: str) -> None:
    assert decode([binary(number, dtype) for number in range(3)], ROUTED).rejected == []


def test_binary_data_stand_in_the_order_of_inputs_and_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    def sized(name: str, numbers: list[float], **more: Any) -> tuple[dict[str, Any], bytes]:
        data = np.array(numbers, "<f4").tobytes()
        described = {"name": name, "shape": [1, len(numbers)], "datatype": "FP32"}
        return {**described, "parameters": {"a": [1], "binary_data_size": len(data)}, **more}, data

    (y, first), (x, second), (q, third), (p, fourth) = (
        sized("y", [9, 9, 9, 9]),
        sized("x", FLAT),
        sized("q", [8]),
        sized("p", [0.25, 0.75]),
    )
    in_json = {"name": "p", "shape": [2], "datatype": "FP32", "data": [1, 0]}
    named = {"input_tensor": "x", "output_tensor": "p"}
    records: list[Record] = [
        behind({"outputs": [q, p], "inputs": [y, x]}, first + second + third + fourth, blanks=2),
        behind({"inputs": [x, y], "outputs": [p]}, second + first + fourth),
        behind({"inputs": [x], "outputs": [in_json]}, second),
        behind({"inputs": [{**tensor(FLAT, [3])}], "outputs": [q, p]}, third + fourth),
        behind(event(1), b""),
    ]
    assert left_of(records, monkeypatch, **named) == []
    batch = decode(records[:4], SCHEMA, **named)
    assert batch.instances.tolist() == np.array([FLAT] * 4, np.float32).tolist()
    wrong: list[Record] = [
        behind({"inputs": [x], "outputs": [p]}, second),
        behind({"inputs": [x], "outputs": [p]}, second + fourth + b"\0"),
        behind({"inputs": [{**x, "shape": [2, 3]}], "outputs": [p]}, second + fourth),
        behind({"inputs": [{**x, "shape": [2**62 + 1, 3]}], "outputs": [p]}, second + fourth),
        behind({"inputs": [{**x, "parameters": {"binary_data_size": -12}}], "outputs": [p]}, second + fourth),
        behind(
            {"inputs": [{**x, "parameters": {"binary_data_size": "12"}}], "outputs": [p]}, second + fourth
        ),
        behind({"inputs": [{**x, "datatype": "BYTES"}], "outputs": [p]}, second + fourth),
    ]
    # Sizes that would add up to what there is, if they were counted in 64 bits.
    huge = [{**y, "parameters": {"binary_data_size": 9 * 10**17}}] * 20
    rest = {**y, "parameters": {"binary_data_size": 2**64 - 18 * 10**18}}
    wrong.append(behind({"inputs": [*huge, rest, x], "outputs": [p]}, second + fourth))
    assert len(decode(wrong, SCHEMA, **named).rejected) == len(wrong)
    without = EventSchema((3,), 2, prediction_required=False)
    assert decode(records, without, input_tensor="x").predictions is None


@pytest.mark.parametrize(
    "odd",
    [
        (binary(1)[0] + b"\0", binary(1)[1]),
        (binary(1)[0][:-1], binary(1)[1]),
        (binary(1)[0], [(LENGTH, b"7")]),
        (binary(1)[0], [(LENGTH, b"many")]),
        (binary(1)[0], [(LENGTH, b"-1")]),
        (binary(1)[0], [(LENGTH, b"9" * 30)]),
        (binary(1)[0], [(LENGTH, b"999999")]),
        (binary(1)[0], [(LENGTH, None)]),
        (binary(1)[0], [(LENGTH, b"7"), *binary(1)[1]]),
        (binary(1)[0], []),
        (None, binary(1)[1]),
        (binary(1)[0][:-16] + np.array([0.5, 0.75], "<f8").tobytes(), binary(1)[1]),
        binary(1, data=np.array([1, np.nan, 3], "<f4").tobytes()),
        binary(1, "FP64", np.array([1, 1e300, 3]).tobytes()),
        binary(1, "INT64", np.array([2**63 - 1, -(2**63), 2**53 + 1]).tobytes()),
        binary(1, time="noon"),
        binary(1, inputs=[tensor(FLAT, [3])]),
    ],
)
def test_an_odd_event_among_those_with_binary_data_is_judged_as_alone(odd: Record) -> None:
    records: list[Record] = [binary(number) for number in range(9)]
    records[4] = records[7] = odd
    batch = decode(records, ROUTED)

    assert len(batch) + len(batch.rejected) == 9
    assert [one.detail for one in batch.rejected] == [
        one.detail for one in decode([odd], ROUTED).rejected
    ] * 2
