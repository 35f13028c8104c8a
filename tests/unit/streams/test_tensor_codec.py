"""What becomes of tensor events, good and bad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import headers as names
from streams.codecs.tensor.codec import TensorCodec
from streams.encoding import encode_tensor
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema
from streams.events import RejectReason as Reason
from streams.records import Headers
from tests.records_in_memory import TIMESTAMP_MS, batch_of

SCHEMA = EventSchema(input_shape=(2, 3), n_classes=2)
X = np.array([[1, 2.5, -3], [4, 5, 6]], np.float32)
PROBABILITIES = np.array([0.25, 0.75], np.float32)


def value(instance: Any = X, prediction: Any = PROBABILITIES) -> bytes:
    return bytes(instance.tobytes() + prediction.tobytes())


def header_list(**texts: str | bytes | None) -> Headers:
    """Headers whose names are written with underscores."""
    return [
        (name.replace("_", "-"), text.encode() if isinstance(text, str) else text)
        for name, text in texts.items()
    ]


def decode(*records: bytes | tuple[bytes | None, Headers] | None, schema: EventSchema = SCHEMA) -> EventBatch:
    pairs = [record if isinstance(record, tuple) else (record, None) for record in records]
    return TensorCodec(schema).decode(batch_of([each for each, _ in pairs], [each for _, each in pairs]))


def test_without_headers_numbers_are_float32():
    batch = decode(value(), value(X + 1))

    assert batch.rows.tolist() == [0, 1]
    assert batch.instances.dtype == batch.predictions.dtype == np.float32
    assert batch.instances.tolist() == [X.tolist(), (X + 1).tolist()]
    assert batch.predictions.tolist() == [[0.25, 0.75]] * 2
    assert batch.times_ms.tolist() == [TIMESTAMP_MS] * 2
    assert (batch.ids, batch.models, batch.segments, batch.rejected) == (None, None, None, [])


@pytest.mark.parametrize("name", ["<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "int32", "f8", "float16"])
def test_numbers_of_each_type_are_cast(name):
    batch = decode((value(X.astype(name)), header_list(tensor_dtype=name)))

    assert batch.rejected == []
    assert batch.instances[0].tolist() == X.astype(name).tolist()


def test_pixels_are_not_scaled():
    pixels = np.array([[0, 1, 127], [128, 254, 255]], np.uint8)

    batch = decode((value(pixels), header_list(tensor_dtype="|u1", tensor_shape="2,3")))

    assert batch.instances.tolist() == [pixels.tolist()]


def test_predictions_have_a_type_of_their_own():
    batch = decode((value(prediction=PROBABILITIES.astype("<f8")), header_list(prediction_dtype="<f8")))

    assert batch.predictions.tolist() == [[0.25, 0.75]]


@pytest.mark.parametrize("shape", ["2,3", "6", "(2, 3)", "[2,3]", "(6,)"])
def test_the_shape_may_be_written_in_several_ways(shape):
    assert decode((value(), header_list(tensor_shape=shape))).rejected == []


def test_headers_carry_what_json_has_in_fields():
    batch = decode(
        (value(), header_list(id="a", time="2026-11-20T12:00:00Z", model="m", segment="eu")),
        (value(), header_list(id="ü", time="1763640000000", model="m", segment=None)),
    )

    assert batch.ids == ["a", "ü"]
    assert batch.times_ms.tolist() == [1_795_176_000_000, 1_763_640_000_000]
    assert (batch.models, batch.segments) == (["m", "m"], ["eu", None])


def test_records_of_several_formats_keep_their_order():
    batch = decode(
        value(X),
        (value((X + 1).astype("<f8")), header_list(tensor_dtype="<f8", id="b")),
        (value(X + 2), header_list(more="x")),
        (value((X + 3).astype("<f8")), header_list(id="d", tensor_dtype="<f8")),
        b"?",
        (value(X + 5), header_list(tensor_dtype="<f8", id="f", tensor_shape="2,3")),
        value(X + 6),
    )

    assert batch.rows.tolist() == [0, 1, 2, 3, 6]
    assert batch.instances[:, 0, 0].tolist() == [1, 2, 3, 4, 7]
    assert batch.ids == [None, "b", None, "d", None]
    assert [bad.row for bad in batch.rejected] == [4, 5]


def test_of_a_repeated_header_the_last_one_counts():
    batch = decode(
        (value(), [*header_list(id="a", tensor_dtype="<f8"), *header_list(id="b", tensor_dtype="<f4")])
    )

    assert batch.ids == ["b"]


NAN = X.copy()
NAN[1, 0] = np.nan

BAD_EVENTS = [
    (None, {}, Reason.UNDECODABLE, "The record is a tombstone"),
    (b"", {}, Reason.UNDECODABLE, "The value is empty"),
    (value(), {"id": b"\xff"}, Reason.UNDECODABLE, "The header 'id' is b'\\xff', expected UTF-8 text."),
    (value(), {"tensor_dtype": b"\xff"}, Reason.UNDECODABLE, "'tensor-dtype' is b'\\xff'"),
    (
        value()[:-1],
        {},
        Reason.WRONG_SHAPE,
        "The value has 31 bytes, expected 32: 6 numbers of float32 for the instance and 2 of float32 for the",
    ),
    (value(X.astype("<f8")), {}, Reason.WRONG_SHAPE, "has 56 bytes, expected 32"),
    (X.tobytes(), {}, Reason.WRONG_SHAPE, "has 24 bytes, expected 32"),
    (value(), {"tensor_shape": "3,2"}, Reason.WRONG_SHAPE, "'tensor-shape' is '3,2', expected '2,3'."),
    (value(), {"tensor_shape": "two"}, Reason.WRONG_SHAPE, "'tensor-shape' is 'two'"),
    (
        value(),
        {"tensor_dtype": ">f4"},
        Reason.WRONG_DTYPE,
        "is '>f4', expected one of <f2, <f4",
    ),
    (value(), {"tensor_dtype": "O"}, Reason.WRONG_DTYPE, "'tensor-dtype' is 'O'"),
    (value(), {"prediction_dtype": "?"}, Reason.WRONG_DTYPE, "'prediction-dtype' is '?'"),
    (value(), {"time": "noon"}, Reason.WRONG_DTYPE, "The header 'time' is 'noon', expected an RFC 3339 time"),
    (value(), {"time": "9" * 20}, Reason.WRONG_DTYPE, "an integer in milliseconds"),
    (value(NAN), {}, Reason.NOT_FINITE, "The instance has nan at position [1, 0]"),
    (
        value(np.full((2, 3), 1e39)),
        {"tensor_dtype": "<f8"},
        Reason.NOT_FINITE,
        "has 1e+39 at position [0, 0], which is too large for float32",
    ),
    (value(prediction=np.float32([np.inf, 0])), {}, Reason.NOT_FINITE, "The prediction has inf"),
    (value(prediction=-PROBABILITIES), {}, Reason.NOT_A_DISTRIBUTION, "prediction has -0.25 at position [0]"),
    (
        value(prediction=PROBABILITIES * 2),
        {},
        Reason.NOT_A_DISTRIBUTION,
        "prediction sums to 2, expected 1",
    ),
]


@pytest.mark.parametrize(("bad_value", "texts", "reason", "detail"), BAD_EVENTS)
def test_a_bad_event_is_rejected_with_its_reason(bad_value, texts, reason, detail):
    batch = decode(value(), (bad_value, header_list(**texts)), value())

    assert batch.rows.tolist() == [0, 2]
    assert [(bad.row, bad.reason) for bad in batch.rejected] == [(1, reason)]
    assert detail in batch.rejected[0].detail
    assert batch.rejected[0].detail.endswith(".")
    alone = decode((bad_value, header_list(**texts)))
    assert [(bad.reason, bad.detail) for bad in alone.rejected] == [(reason, batch.rejected[0].detail)]


def test_a_value_over_the_limit_is_rejected():
    batch = decode(value(), schema=EventSchema((2, 3), 2, max_bytes=31))

    assert [bad.reason for bad in batch.rejected] == [Reason.TOO_LARGE]


@pytest.mark.parametrize("records", [[], [None, b"", b"x"]])
def test_batches_without_any_good_event_have_empty_columns(records):
    batch = decode(*records)

    assert batch.instances.shape == (0, 2, 3)
    assert batch.predictions.shape == (0, 2)
    assert len(batch.rejected) == len(records)


def test_predictions_are_not_looked_at_unless_required():
    schema = EventSchema((2, 3), 2, prediction_required=False)

    batch = decode(value(), X.tobytes(), value(prediction=-PROBABILITIES), schema=schema)

    assert len(batch) == 3
    assert batch.predictions is None


def test_a_schema_that_no_event_can_match_is_refused():
    with pytest.raises(CodecError, match="shape"):
        TensorCodec(EventSchema((), 2))


def test_what_senders_encode_is_read_back():
    instances = np.random.default_rng(7).normal(size=(5, 2, 3)).astype(np.float32)
    predictions = np.tile(PROBABILITIES, (5, 1))

    batch = decode(*encode_tensor(instances, predictions))

    np.testing.assert_array_equal(batch.instances, instances)
    np.testing.assert_array_equal(batch.predictions, predictions)


HEADER = st.tuples(
    st.sampled_from([names.TENSOR_DTYPE, names.TENSOR_SHAPE, names.EVENT_ID, names.EVENT_TIME, "other"]),
    st.sampled_from([None, b"", b"<f4", b"<f8", b"2,3", b"6", b"7", b"\xff", b"2026-11-20T12:00:00Z"]),
)
VALUE = st.one_of(st.none(), st.just(value()), st.just(value(X.astype("<f8"))), st.binary(max_size=64))


@given(st.lists(st.tuples(VALUE, st.lists(HEADER, max_size=3)), max_size=6))
def test_a_batch_gives_what_its_records_give_alone(records):
    batch = decode(*records)

    alone = [decode(record) for record in records]
    assert batch.rows.tolist() == [row for row, each in enumerate(alone) if len(each)]
    assert batch.instances.tolist() == [instance.tolist() for each in alone for instance in each.instances]
    assert batch.times_ms.tolist() == [int(time) for each in alone for time in each.times_ms]
    ids = [None if each.ids is None else each.ids[0] for each in alone if len(each)]
    assert list(batch.ids or [None] * len(ids)) == ids
    assert [(bad.row, bad.reason, bad.detail) for bad in batch.rejected] == [
        (row, bad.reason, bad.detail) for row, each in enumerate(alone) for bad in each.rejected
    ]
