"""What becomes of JSON events, good and bad."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codecs.json.codec import JsonCodec
from streams.codecs.json.reader import JsonReader
from streams.codecs.rejection import BadEventError
from streams.encoding import encode_json
from streams.errors import CodecError
from streams.events import EventBatch, EventFields, EventSchema
from streams.events import RejectReason as Reason
from tests.records_in_memory import TIMESTAMP_MS, batch_of

pytestmark = pytest.mark.usefixtures("way_of_reading")

TABULAR = EventSchema(input_shape=(3,), n_classes=2)
IMAGE = EventSchema(input_shape=(2, 2, 3), n_classes=2)
GOOD = {"instance": [1, 2.5, -3], "prediction": [0.25, 0.75]}


def event(**changes: Any) -> bytes:
    """A good event with fields changed, or left out where the change is ``...``."""
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def image(instance: Any) -> bytes:
    return event(instance=instance)


def decode(*values: bytes | None, schema: EventSchema = TABULAR) -> EventBatch:
    return JsonCodec(schema).decode(batch_of(values))


def test_columns_hold_what_the_events_said():
    batch = decode(
        event(id="a", time="2026-11-20T12:00:00.5+02:00", model="m", segment="eu"),
        event(id=7, time=1_763_640_000_000, instance=[4, 5, 6]),
        event(),
    )

    assert batch.rows.tolist() == [0, 1, 2]
    assert batch.instances.dtype == batch.predictions.dtype == np.float32
    assert batch.instances.tolist() == [[1, 2.5, -3], [4, 5, 6], [1, 2.5, -3]]
    assert batch.predictions.tolist() == [[0.25, 0.75]] * 3
    assert batch.times_ms.tolist() == [1_795_168_800_500, 1_763_640_000_000, TIMESTAMP_MS]
    assert (batch.ids, batch.models, batch.segments) == (
        ["a", "7", None],
        ["m", None, None],
        ["eu", None, None],
    )
    assert batch.rejected == []


def test_columns_that_no_event_has_are_none():
    batch = decode(event(), event(id=None, segment=None))

    assert (batch.ids, batch.models, batch.segments) == (None, None, None)


def test_bad_events_are_left_out_between_good_ones():
    batch = decode(event(id="a"), b"{", None, event(id="b", time="noon"), event(id="c", instance=[7, 8, 9]))

    assert batch.rows.tolist() == [0, 4]
    assert batch.ids == ["a", "c"]
    assert batch.instances.tolist() == [[1, 2.5, -3], [7, 8, 9]]
    assert [bad.row for bad in batch.rejected] == [1, 2, 3]


@pytest.mark.parametrize("values", [[], [b"x"], [None, b"", b"[]"]])
def test_batches_without_any_good_event_have_empty_columns(values):
    batch = decode(*values)

    assert len(batch) == 0
    assert batch.instances.shape == (0, 3)
    assert batch.predictions.shape == (0, 2)
    assert len(batch.rejected) == len(values)


BAD_EVENTS = [
    (None, Reason.UNDECODABLE, "The record is a tombstone, expected a value with an event."),
    (b"", Reason.UNDECODABLE, "The value is empty, expected an event."),
    (b"  ", Reason.UNDECODABLE, "not JSON: Expecting value"),
    (b"{", Reason.UNDECODABLE, "not JSON"),
    (event() + b"}", Reason.UNDECODABLE, "not JSON: Extra data"),
    (b'{"instance": "\xff"}', Reason.UNDECODABLE, "The value is not UTF-8: byte 14 cannot be read."),
    (b"[1, 2]", Reason.UNDECODABLE, "The value is an array, expected a JSON object."),
    (b"17", Reason.UNDECODABLE, "The value is the number 17, expected a JSON object."),
    (b"null", Reason.UNDECODABLE, "The value is null"),
    (b"[" * 100_000, Reason.UNDECODABLE, "The value is nested too deeply to be an event."),
    (b'{"a":' * 100_000, Reason.UNDECODABLE, "nested too deeply"),
    (event(segment="\ud800"), Reason.UNDECODABLE, "'segment' has half of a surrogate pair"),
    (
        event()[:-1] + b', "instance": [1, 2, 3]}',
        Reason.UNDECODABLE,
        "The key 'instance' stands in the event more than once, expected it once.",
    ),
    (event(loss=math.nan), Reason.UNDECODABLE, "not JSON, which has no number NaN."),
    (
        event(instance=...),
        Reason.MISSING_FIELD,
        "The field 'instance' is missing; the event holds 'prediction'.",
    ),
    (event(prediction=...), Reason.MISSING_FIELD, "'prediction' is missing"),
    (event(prediction=None), Reason.MISSING_FIELD, "'prediction' is null"),
    (b"{}", Reason.MISSING_FIELD, "the event holds nothing"),
    (
        event(instance=[1, 2]),
        Reason.WRONG_SHAPE,
        "The field 'instance' has shape (2,), expected (3,).",
    ),
    (event(instance=[]), Reason.WRONG_SHAPE, "has shape (0,), expected (3,)"),
    (event(instance=[[1, 2, 3]]), Reason.WRONG_SHAPE, "has shape (1, 3), expected (3,)"),
    (event(instance=[[], 1, [2, 3]]), Reason.WRONG_SHAPE, "ragged array at depth 1"),
    (event(prediction=[0.5, 0.25, 0.25]), Reason.WRONG_SHAPE, "'prediction' has shape (3,)"),
    (
        event(prediction=[[0.5, 0.5]]),
        Reason.WRONG_SHAPE,
        "'prediction' has shape (1, 2), expected (2,)",
    ),
    (
        event(instance=1.5),
        Reason.WRONG_DTYPE,
        "is the number 1.5, expected numbers in shape (3,).",
    ),
    (event(instance={}), Reason.WRONG_DTYPE, "'instance' is an object"),
    (
        event(instance=[1, "2", 3]),
        Reason.WRONG_DTYPE,
        "the text '2' at position [1], expected numbers.",
    ),
    (event(instance=[1, 2, True]), Reason.WRONG_DTYPE, "has true at position [2]"),
    (
        event(instance=[None, 2, 3]),
        Reason.WRONG_DTYPE,
        "null (how JavaScript writes NaN) at position [0]",
    ),
    (event(instance=[1, 2, {}]), Reason.WRONG_DTYPE, "has an object at position [2]"),
    (event(id=True), Reason.WRONG_DTYPE, "The field 'id' is true, expected text or an integer."),
    (event(model=1.5), Reason.WRONG_DTYPE, "'model' is the number 1.5"),
    (event(segment=["eu"]), Reason.WRONG_DTYPE, "'segment' is an array"),
    (event(id={}), Reason.WRONG_DTYPE, "'id' is an object"),
    (event(time="yesterday"), Reason.WRONG_DTYPE, "'time' is 'yesterday', expected an RFC 3339 time"),
    (event(time=1.5), Reason.WRONG_DTYPE, "'time' is 1.5"),
    (event(time=True), Reason.WRONG_DTYPE, "'time' is True"),
    (
        event(time=1_763_640_000_000_000_000),
        Reason.WRONG_DTYPE,
        "an integer in milliseconds since 1970",
    ),
    (event(time=[]), Reason.WRONG_DTYPE, "'time' is an array"),
    (
        event(instance=[1, math.nan, 3]),
        Reason.NOT_FINITE,
        "has nan at position [1], which is not finite",
    ),
    (event(instance=[1, 2, -math.inf]), Reason.NOT_FINITE, "has -inf at position [2]"),
    (
        event(instance=[1, 2, 1e39]),
        Reason.NOT_FINITE,
        "has 1e+39 at position [2], which is too large for float32",
    ),
    (event().replace(b"2.5", b"1e999"), Reason.NOT_FINITE, "has inf at position [1]"),
    (event().replace(b"2.5", b"9" * 5000), Reason.NOT_FINITE, "has inf at position [1]"),
    (event(prediction=[math.nan, 1]), Reason.NOT_FINITE, "'prediction' has nan at position [0]"),
    (
        event(prediction=[2.5, -0.5]),
        Reason.NOT_A_DISTRIBUTION,
        "has -0.5 at position [1], expected probabilities",
    ),
    (
        event(prediction=[0.5, 0.502]),
        Reason.NOT_A_DISTRIBUTION,
        "The field 'prediction' sums to 1.002, expected 1 within 0.001.",
    ),
]


@pytest.mark.parametrize(("value", "reason", "detail"), BAD_EVENTS)
def test_a_bad_event_is_rejected_with_its_reason(value, reason, detail):
    batch = decode(event(), value, event())

    assert batch.rows.tolist() == [0, 2]
    assert [(bad.row, bad.reason) for bad in batch.rejected] == [(1, reason)]
    assert detail in batch.rejected[0].detail
    assert batch.rejected[0].detail.endswith(".")
    assert len(batch.rejected[0].detail) < 400


def test_a_value_over_the_limit_is_rejected_unread():
    value = event(id="x" * 100)
    schema = EventSchema((3,), 2, max_bytes=len(value) - 1)

    batch = decode(value, event(), schema=schema)

    assert batch.rows.tolist() == [1]
    assert batch.rejected[0].reason is Reason.TOO_LARGE
    assert f"has {len(value)} bytes, expected at most {len(value) - 1}" in batch.rejected[0].detail


@pytest.mark.parametrize(
    "value",
    [
        event(prediction=[0.5, 0.5009]),
        event().replace(b"2.5", b"100000000000000000000000"),
        b"\xef\xbb\xbf" + event(),
        json.dumps(GOOD, indent=4).encode(),
        json.dumps(GOOD, separators=(",", ":")).encode(),
        b'{"instance"\t:\n\t[1,2,3] ,"prediction":\r\n[1,0]}',
        event().replace(b'"instance"', b'"\\u0069nstance"'),
        event(tags=["a", ["b"]], boxes=[[1, 2], [3]], note='see ": [1]" and [[2]]'),
        event()[:-1] + b', "note": 1, "note": 2}',
        event(instance=[1e-60, -0.0, 18446744073709551615]),
        event(note={"instance": [1]}),
    ],
)
def test_an_unusual_event_that_is_right_is_accepted(value):
    batch = decode(event(), value, event())

    assert batch.rejected == []
    expected = json.loads(value)["instance"]
    assert batch.instances[1].tolist() == np.array(expected, np.float32).tolist()


NESTED = np.arange(12.0).reshape(2, 2, 3)
MORE = [{}, {"boxes": [[1, 2], [3]]}, {"thumbnail": NESTED.tolist(), "note": "[[["}]


@pytest.mark.parametrize(
    "extra", [{}, {"boxes": [[1, 2], [3]]}, {"thumbnail": NESTED.tolist(), "note": "[[["}]
)
@pytest.mark.parametrize("instance", [NESTED, NESTED.ravel()])
def test_images_may_be_nested_or_flat(instance, extra):
    batch = decode(event(instance=instance.tolist(), **extra), schema=IMAGE)

    assert batch.rejected == []
    assert batch.instances.tolist() == [NESTED.tolist()]


@pytest.mark.parametrize(
    "extra", [{}, {"boxes": [[1, 2], [3]]}, {"thumbnail": NESTED.tolist(), "note": "[[["}]
)
@pytest.mark.parametrize(
    ("instance", "found"),
    [
        (NESTED.transpose(2, 0, 1).tolist(), "has shape (3, 2, 2)"),
        (NESTED.reshape(2, 6).tolist(), "has shape (2, 6)"),
        (NESTED[np.newaxis].tolist(), "has shape (1, 2, 2, 3)"),
        (NESTED.ravel()[:11].tolist(), "has shape (11,)"),
        ([[[0, 1, 2], [3, 4, 5, 6]], [[7, 8], [9, 10, 11]]], "is a ragged array at depth 3"),
        ([[[0, 1, 2], [3, 4, 5]], [[7, 8, 9], 9, 10, 11]], "is a ragged array at depth"),
        ([[[], [[0, 1, 2]]], [[3, 4, 5], list(range(6))]], "is a ragged array at depth"),
    ],
)
def test_an_image_of_another_nesting_is_rejected_though_its_count_is_right(instance, found, extra):
    batch = decode(event(instance=instance, **extra), event(instance=NESTED.tolist()), schema=IMAGE)

    assert batch.rows.tolist() == [1]
    assert batch.rejected[0].reason is Reason.WRONG_SHAPE
    assert found in batch.rejected[0].detail
    assert "expected (2, 2, 3) or 12 numbers in one flat array" in batch.rejected[0].detail


def test_fields_are_found_at_their_paths():
    fields = EventFields(
        instance="payload.features", prediction="payload.out.probs", id="meta.id", time="meta.at"
    )
    value = {
        "payload": {"features": [1, 2, 3], "out": {"probs": [0, 1]}},
        "meta": {"id": "a", "at": 5},
    }
    values = [
        json.dumps(each).encode() for each in (value, {**value, "meta": None}, {**value, "meta": "none"})
    ]

    batch = decode(*values, schema=EventSchema((3,), 2, fields=fields))

    assert batch.ids == ["a", None]
    assert batch.times_ms.tolist() == [5, TIMESTAMP_MS]
    assert [(bad.row, bad.reason) for bad in batch.rejected] == [(2, Reason.WRONG_DTYPE)]
    assert "'meta' is the text 'none', expected an object with 'id' in it" in batch.rejected[0].detail


def test_two_fields_may_share_a_path():
    batch = decode(event(model="a"), schema=EventSchema((3,), 2, fields=EventFields(segment="model")))

    assert (batch.models, batch.segments) == (["a"], ["a"])


def test_other_fields_are_texts_numbers_or_truth_values_or_absent():
    found = ["eu", 2, 1.5, True, None, ["eu"], {"eu": 1}]
    values = [event(payload={"region": each}) for each in found] + [event(payload="eu"), event()]

    batch = decode(*values, schema=EventSchema((3,), 2, others=("payload.region",)))

    assert list(batch.others["payload.region"]) == ["eu", "2", "1.5", "true"] + [None] * 5


def test_events_of_several_layouts_mix():
    kinds = [{"id": "a"}, {"time": 5}, {"id": "b", "tag": 1}, {"tag": 2}, {}, {"segment": "s", "model": "m"}]

    batch = decode(*(event(**kind) for kind in kinds * 20))

    assert len(batch) == 120
    assert batch.ids == ["a", None, "b", None, None, None] * 20
    assert batch.times_ms[:2].tolist() == [TIMESTAMP_MS, 5]


def test_predictions_are_not_looked_at_unless_required():
    schema = EventSchema((3,), 2, prediction_required=False)

    batch = decode(event(prediction=...), event(prediction="?"), event(prediction=[[9, 9]]), schema=schema)

    assert len(batch) == 3
    assert batch.predictions is None


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (EventSchema((), 2), "shape ()"),
        (EventSchema((3, 0), 2), "shape (3, 0)"),
        (EventSchema((3,), 0), "0 classes"),
        (EventSchema((3,), 2, max_bytes=0), "0 bytes"),
        (EventSchema((3,), 2, fields=EventFields(id="a..b")), "'a..b'"),
        (EventSchema((3,), 2, fields=EventFields(id="")), "''"),
    ],
)
def test_a_schema_that_no_event_can_match_is_refused(schema, message):
    with pytest.raises(CodecError, match=r"\.$") as raised:
        JsonCodec(schema)
    assert message in str(raised.value)


@given(
    instances=st.lists(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=12, max_size=12),
        min_size=1,
        max_size=4,
    ),
    weights=st.lists(st.floats(0, 1), min_size=4, max_size=4),
)
def test_numbers_survive_the_journey(instances, weights):
    X = np.array(instances, np.float32).reshape(-1, 2, 2, 3)
    predictions = np.array([[weight, 1 - weight] for weight in weights[: len(X)]], np.float32)

    batch = decode(*encode_json(X, predictions), schema=IMAGE)

    assert batch.rejected == []
    np.testing.assert_array_equal(batch.instances, X)
    np.testing.assert_array_equal(batch.predictions, predictions)


def read_exactly(value: bytes | None, schema: EventSchema) -> tuple[Any, ...]:
    try:
        read = JsonReader(schema).read(value)
    except BadEventError as bad:
        return bad.reason, bad.detail
    time_ms = TIMESTAMP_MS if read.time_ms is None else read.time_ms
    numbers = read.instance.astype(np.float32).tolist()
    return numbers, time_ms, read.id, read.model, read.segment, *read.others


def assert_agrees_with_the_reader(values: list[bytes | None], schema: EventSchema) -> None:
    """Decoding a batch gives what reading one event after the other gives."""
    batch = decode(*values, schema=schema)
    texts = [column or [None] * len(batch) for column in (batch.ids, batch.models, batch.segments)]
    texts += [batch.others.get(path, []) for path in schema.others]
    instances = [instance.ravel().tolist() for instance in batch.instances]
    accepted = zip(instances, batch.times_ms.tolist(), *texts, strict=True)
    found: dict[int, tuple[Any, ...]] = {bad.row: (bad.reason, bad.detail) for bad in batch.rejected}
    found.update(zip(batch.rows.tolist(), accepted, strict=True))
    assert len(batch) + len(batch.rejected) == len(values)
    assert found == {row: read_exactly(value, schema) for row, value in enumerate(values)}


NUMBERS = st.one_of(
    st.floats(-2, 2),
    st.integers(-3, 3),
    st.sampled_from([1e300, 10**25, math.nan, -0.0, True, None, "x", {}]),
)
ARRAYS = st.recursive(
    st.lists(NUMBERS, max_size=4), lambda inner: st.lists(st.one_of(NUMBERS, inner), max_size=4), max_leaves=6
)
SCALARS = st.sampled_from(
    ["", "a", "é", 5, -1, 2**63, 2**70, 1.5, True, None, [], {}, "2026-11-20T12:00:00Z"]
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "instance": st.one_of(st.just([1, 2, 3]), st.lists(NUMBERS, min_size=3, max_size=3), ARRAYS, SCALARS),
        "prediction": st.one_of(st.just([0.5, 0.5]), st.lists(NUMBERS, min_size=2, max_size=2), SCALARS),
        "id": SCALARS,
        "time": SCALARS,
        "segment": SCALARS,
        "more": st.one_of(ARRAYS, SCALARS),
    },
)


@given(st.lists(EVENTS, max_size=6))
def test_whole_batches_agree_with_the_exact_reader(events):
    assert_agrees_with_the_reader([json.dumps(each).encode() for each in events], TABULAR)


@given(st.lists(EVENTS, max_size=6))
def test_other_fields_agree_with_the_exact_reader(events):
    schema = EventSchema((3,), 2, others=("more", "id", "time.zone", "segment"))
    assert_agrees_with_the_reader([json.dumps(each).encode() for each in events], schema)


PIXEL = st.sampled_from([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2], [1, 2, 3, 4], [], 1, [[1, 2, 3]]])
ROW = st.one_of(st.just([[1, 2, 3], [4, 5, 6]]), st.lists(PIXEL, min_size=1, max_size=3))
IMAGES = st.fixed_dictionaries(
    {"instance": st.lists(ROW, min_size=2, max_size=2), "prediction": st.just([1, 0])},
    optional={"more": st.lists(ROW, max_size=2), "id": st.sampled_from(["[", ":[", '":[[[,,],[,,]]]', "]"])},
)


@given(st.lists(st.tuples(IMAGES, st.permutations(["instance", "prediction", "more", "id"])), max_size=4))
def test_nesting_is_judged_as_the_exact_reader_does(events):
    values = [json.dumps({key: each[key] for key in keys if key in each}).encode() for each, keys in events]
    assert_agrees_with_the_reader(values, IMAGE)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40), st.text(max_size=40).map(lambda t: t.encode()))))
def test_arbitrary_bytes_are_rejected_one_by_one(values):
    assert_agrees_with_the_reader([event(), *values, event()], TABULAR)


@given(st.data())
def test_damaged_events_agree_with_the_exact_reader(data):
    value = bytearray(event(id="a", time="2026-11-20T12:00:00Z"))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.sampled_from(b'[]{},:"0e-. \\n\xff'))
    assert_agrees_with_the_reader([event(), bytes(value), event(id="b")], TABULAR)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_batches_are_the_same_in_whatever_blocks_they_are_decoded(rows: int, monkeypatch: pytest.MonkeyPatch):
    schema = EventSchema(input_shape=(3,), n_classes=2, others=("tag",))
    good = {"instance": [1, 2, 3], "prediction": [0.5, 0.5]}
    changes: list[dict[str, Any]] = [
        {"id": "a", "tag": "x"},
        {"instance": [1, 2]},
        {"time": "2025-11-20T12:00:00Z", "id": 7},
        {"prediction": [1, 1]},
        {},
        {"time": "soon"},
        {"instance": [[1], [2], [3]]},
        {"model": "m", "segment": "eu", "tag": 1},
    ]
    values = [*(json.dumps({**good, **change}).encode() for change in changes), None, b"{", b""] * 2
    whole = JsonCodec(schema).decode(batch_of(values))
    monkeypatch.setattr("streams.codecs.json.parser._BLOCK_BYTES", 1)
    monkeypatch.setattr("streams.codecs.json.parser._LEAST_ROWS", rows)
    blocks = JsonCodec(schema).decode(batch_of(values))

    assert whole.rows.tolist() == blocks.rows.tolist() == [0, 2, 4, 7, 11, 13, 15, 18]
    assert whole.rejected == blocks.rejected
    assert whole.instances.tobytes() == blocks.instances.tobytes()
    assert whole.predictions.tobytes() == blocks.predictions.tobytes()
    assert whole.times_ms.tolist() == blocks.times_ms.tolist()
    assert (whole.ids, whole.models, whole.segments) == (blocks.ids, blocks.models, blocks.segments)
    assert {path: list(texts) for path, texts in whole.others.items()} == blocks.others
