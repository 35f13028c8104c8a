"""What becomes of events of the Open Inference Protocol, good and bad."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codecs.oip.codec import OipCodec
from streams.codecs.rejection import BadEventError
from streams.errors import CodecError
from streams.events import EventBatch, EventFields, EventSchema
from streams.events import RejectReason as Reason
from streams.records import Headers
from tests.producer_samples import sample
from tests.records_in_memory import TIMESTAMP_MS, batch_of

SCHEMA = EventSchema(input_shape=(2, 2), n_classes=2)
X = [[1.0, 2.5], [-3.0, 4.0]]
NAMES = ["mlserver_" + dtype for dtype in ("bool", "float16", "float32", "float64")]
NAMES += [f"mlserver_{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


def tensor(
    data: Any, shape: list[Any], datatype: Any = "FP32", name: str = "x", **more: Any
) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def event(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "6f1c",
        "model_name": "churn",
        "inputs": [tensor(X, [2, 2])],
        "outputs": [tensor([0.25, 0.75], [1, 2], name="p")],
    }
    return {key: value for key, value in {**plain, **changes}.items() if value is not ...}


def decode(
    *values: Any, headers: list[Headers | None] | None = None, schema: EventSchema = SCHEMA, **options: Any
) -> EventBatch:
    raw = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return OipCodec(schema, **options).decode(batch_of(raw, headers))


@pytest.mark.parametrize("name", [*NAMES, "kserve_json", "kserve_binary"])
def test_what_producers_write_is_read(name: str) -> None:
    golden = sample(name)
    codec = OipCodec(EventSchema((3,), 2), request="request", response="response")
    batch = codec.decode(batch_of([golden.value] * 2, [golden.headers] * 2))

    assert batch.rejected == []
    assert batch.rows.tolist() == [0, 0, 1, 1]
    assert batch.instances.dtype == np.float32
    assert batch.instances.tolist() == [*golden.instances.tolist()] * 2
    assert batch.predictions is not None
    assert batch.predictions.tolist() == [*golden.predictions.tolist()] * 2
    assert (batch.ids, batch.models) == (["6f1c"] * 4, ["churn"] * 4)
    assert batch.times_ms.tolist() == [TIMESTAMP_MS] * 4


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (X, [2, 2]),
        ([1, 2.5, -3, 4], [4]),
        ([1, 2.5, -3, 4], [1, 4]),
        ([[1, 2.5, -3, 4]], [1, 4]),
        ([X], [1, 2, 2]),
        ([1, 2.5, -3, 4], [1.0, 4]),
        ([1, 2.5, -3, 4], [1, 2, 2]),
    ],
)
def test_an_instance_is_flat_or_nested(data: Any, shape: list[int]) -> None:
    batch = decode(*[event(inputs=[tensor(data, shape)])] * 2)

    assert batch.rejected == []
    assert batch.instances.tolist() == [X, X]


def test_texts_and_time_are_where_the_fields_say() -> None:
    schema = EventSchema((2, 2), 2, fields=EventFields(id="parameters.id", segment="parameters.region"))
    parameters = {"id": 7, "region": "eu"}
    batch = decode(event(parameters=parameters, time="2026-11-20T12:00:00Z"), schema=schema)

    assert (batch.ids, batch.segments, batch.models) == (["7"], ["eu"], ["churn"])
    assert batch.times_ms.tolist() == [1_795_176_000_000]


def test_fields_to_route_by_are_read_beside() -> None:
    schema = EventSchema((2, 2), 2, others=("parameters.tier", "no.where"))
    two = {"inputs": [tensor([1] * 8, [2, 4])], "outputs": [tensor([0.5] * 4, [2, 2])]}
    batch = decode(event(parameters={"tier": "gold"}, **two), event(), schema=schema)

    assert batch.others["parameters.tier"] == ["gold", "gold", None]
    assert batch.others["no.where"] == [None] * 3


def test_tensors_are_chosen_by_name() -> None:
    inputs = [tensor([9], [1], name="other"), tensor(X, [2, 2], name="pixels")]
    outputs = [tensor([0.5, 0.5], [2], name="p"), tensor([3], [1], "INT64", name="label")]
    batch = decode(*[event(inputs=inputs, outputs=outputs)] * 2, input_tensor="pixels", output_tensor="p")

    assert batch.rejected == []
    assert batch.instances.tolist() == [X, X]


def test_where_the_teacher_runs_outputs_are_not_looked_at() -> None:
    schema = EventSchema((2, 2), 2, prediction_required=False)
    batch = decode(event(outputs=...), event(outputs="?"), schema=schema)

    assert (batch.rejected, len(batch), batch.predictions) == ([], 2, None)


BAD: list[tuple[Any, Reason, str]] = [
    (b"", Reason.UNDECODABLE, "empty"),
    (b"{", Reason.UNDECODABLE, "not JSON"),
    (b"[]", Reason.UNDECODABLE, "expected a JSON object"),
    (b"x" * 2_000_000, Reason.TOO_LARGE, "at most"),
    (event(inputs=...), Reason.MISSING_FIELD, "'inputs'"),
    (event(outputs=...), Reason.MISSING_FIELD, "'outputs'"),
    (event(inputs=[]), Reason.MISSING_FIELD, "0 tensors"),
    (event(inputs=[tensor([1], [1]), tensor(X, [2, 2], name="y")]), Reason.MISSING_FIELD, "'x', 'y'"),
    (event(inputs={}), Reason.WRONG_DTYPE, "expected tensors"),
    (event(inputs=[tensor(["a"], [1], "BYTES")]), Reason.WRONG_DTYPE, "datatype 'BYTES'"),
    (event(inputs=[tensor(X, [2, 2], "BF16")]), Reason.WRONG_DTYPE, "datatype 'BF16'"),
    (event(inputs=[tensor(X, [2, 2], None)]), Reason.WRONG_DTYPE, "datatype None"),
    (event(inputs=[tensor(["1", 2, 3, 4], [1, 4])]), Reason.WRONG_DTYPE, "the text '1'"),
    (event(inputs=[tensor([None, 2, 3, 4], [1, 4])]), Reason.WRONG_DTYPE, "null"),
    (event(inputs=[tensor([True, 2, 3, 4], [1, 4])]), Reason.WRONG_DTYPE, "true"),
    (event(inputs=[tensor(..., [1, 4])]), Reason.MISSING_FIELD, "no data"),
    (event(inputs=[tensor(X, [1, 5])]), Reason.WRONG_SHAPE, "[1, 5]"),
    (event(inputs=[tensor([], [0, 4])]), Reason.WRONG_SHAPE, "[0, 4]"),
    (event(inputs=[tensor(X, [-1, 4])]), Reason.WRONG_SHAPE, "[-1, 4]"),
    (event(inputs=[tensor(X, [1.5, 4])]), Reason.WRONG_SHAPE, "[1.5, 4]"),
    (event(inputs=[tensor(X, "4")]), Reason.WRONG_SHAPE, "'4'"),
    (event(inputs=[tensor([1, 2, 3], [1, 4])]), Reason.WRONG_SHAPE, "(3,)"),
    (event(inputs=[tensor([[1, 2, 3], [4]], [1, 2, 2])]), Reason.WRONG_SHAPE, "ragged"),
    (event(inputs=[tensor([1e39, 2, 3, 4], [1, 4])]), Reason.NOT_FINITE, "too large"),
    (event(inputs=[tensor([float("nan"), 2, 3, 4], [1, 4])]), Reason.NOT_FINITE, "nan"),
    (event(outputs=[tensor([0.4, 0.4], [1, 2])]), Reason.NOT_A_DISTRIBUTION, "sums to 0.8"),
    (event(outputs=[tensor([0.5] * 4, [2, 2])]), Reason.WRONG_SHAPE, "2 predictions"),
    (event(id=[1]), Reason.WRONG_DTYPE, "'id'"),
    (event(time="noon"), Reason.WRONG_DTYPE, "'time'"),
    (
        event(inputs=[tensor(..., [1, 4], parameters={"binary_data_size": 16})]),
        Reason.UNDECODABLE,
        "0 follow the JSON",
    ),
]


def without_marks(value: Any) -> Any:
    """Drop the entries of tensors that stand for absent ones."""
    if isinstance(value, dict):
        return {key: without_marks(inner) for key, inner in value.items() if inner is not ...}
    return [without_marks(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("bad", "reason", "words"), BAD)
def test_what_is_wrong_is_refused_with_its_reason(bad: Any, reason: Reason, words: str) -> None:
    batch = decode(event(), without_marks(bad), event())

    assert [(one.row, one.reason) for one in batch.rejected] == [(1, reason)]
    assert words in batch.rejected[0].detail
    assert batch.rows.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("header", "cut", "words"),
    [
        ("many", 0, "is b'many'"),
        ("9999", 0, "is b'9999'"),
        (None, 1, "follow the JSON"),
        (None, -4, "follow the JSON"),
    ],
)
def test_binary_data_that_do_not_fit_are_refused(header: str | None, cut: int, words: str) -> None:
    golden = sample("kserve_binary")
    value = golden.value[:cut] if cut < 0 else golden.value + b"\0" * cut
    headers = [(name, header.encode() if header else length) for name, length in golden.headers]
    codec = OipCodec(EventSchema((3,), 2), request="request", response="response")
    batch = codec.decode(batch_of([value, golden.value], [headers, golden.headers]))

    assert [(one.row, one.reason) for one in batch.rejected] == [(0, Reason.UNDECODABLE)]
    assert words in batch.rejected[0].detail
    assert batch.rows.tolist() == [1, 1]


def test_all_instances_of_an_event_are_accepted_or_none() -> None:
    predictions = tensor([0.5, 0.5, 0.9, 0.9], [2, 2])
    batch = decode(event(inputs=[tensor([1] * 8, [2, 4])], outputs=[predictions]), event())

    assert [one.reason for one in batch.rejected] == [Reason.NOT_A_DISTRIBUTION]
    assert "prediction 1" in batch.rejected[0].detail
    assert batch.rows.tolist() == [1]


def test_options_are_texts() -> None:
    with pytest.raises(CodecError, match=r"'input_tensor' is 3, expected text\."):
        OipCodec(SCHEMA, input_tensor=3)  # type: ignore[arg-type]


SCRAPS = st.one_of(
    st.sampled_from(
        [without_marks(bad) for bad, _, _ in BAD if not isinstance(bad, bytes)]
        + [event(), event(inputs=[tensor([X, X], [2, 2, 2])], outputs=[tensor([0.5] * 4, [2, 2])])]
    ).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=40),
)


@given(
    st.lists(SCRAPS, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300), st.binary(max_size=3)), max_size=4),
    st.sampled_from([None, b"10", b"x"]),
)
def test_whatever_comes_is_accepted_or_rejected_as_the_exact_reader_says(
    values: list[bytes], damages: list[tuple[int, int, bytes]], length: bytes | None
) -> None:
    for row, at, scrap in damages:
        if row < len(values):
            values[row] = values[row][:at] + scrap + values[row][at + len(scrap) :]
    headers: list[Headers | None] = [
        [("Inference-Header-Content-Length", length)] if length and row % 2 else None
        for row in range(len(values))
    ]
    codec = OipCodec(SCHEMA)
    batch = codec.decode(batch_of(values, headers))

    expected = {}
    for row, value in enumerate(values):
        try:
            read = codec._reader.read(value, length if row % 2 else None)
            expected[row] = (read.count, read.id)
        except BadEventError as bad:
            expected[row] = (bad.reason, bad.detail)
    found: dict[int, tuple[Any, Any]] = {one.row: (one.reason, one.detail) for one in batch.rejected}
    rows, counts = np.unique(batch.rows, return_counts=True)
    ids = batch.ids or [None] * len(batch)
    for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
        assert row not in found
        found[row] = (count, ids[batch.rows.tolist().index(row)])
    assert found == expected
