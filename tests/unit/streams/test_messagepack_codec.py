"""What becomes of MessagePack events, good and bad."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codecs.messagepack.codec import MessagePackCodec
from streams.codecs.messagepack.exact import ExactReader
from streams.codecs.rejection import BadEventError
from streams.events import EventBatch, EventFields, EventSchema
from streams.events import RejectReason as Reason
from tests.records_in_memory import TIMESTAMP_MS, batch_of

TABULAR = EventSchema(input_shape=(3,), n_classes=2, others=("tag",))
IMAGE = EventSchema(input_shape=(2, 3), n_classes=2)
GOOD = {"instance": [1, 2.5, -3], "prediction": [0.25, 0.75]}


def event(packer: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """A good event with fields changed, or left out where the change is ``...``."""
    fields = {key: value for key, value in {**GOOD, **changes}.items() if value is not ...}
    return msgpack.packb(fields, **(packer or {}))


def decode(*values: bytes | None, schema: EventSchema = TABULAR) -> EventBatch:
    return MessagePackCodec(schema).decode(batch_of(values))


def test_columns_hold_what_the_events_said():
    batch = decode(
        event(id="ü", time="2025-11-20T12:00:00.5Z", model="m", segment="eu", tag=True, more={"a": [1, {}]}),
        event(
            {"use_single_float": True}, instance=[1.0, 2.5, -3.0], time=1_763_640_000_007, id=-70_000, tag=3
        ),
        event({"datetime": True}, time=datetime(2025, 11, 20, 12, tzinfo=timezone.utc), id=None, tag="x"),
    )

    assert batch.rejected == []
    assert batch.instances.dtype == batch.predictions.dtype == np.float32
    assert batch.instances.tolist() == [[1, 2.5, -3]] * 3
    assert batch.predictions.tolist() == [[0.25, 0.75]] * 3
    assert batch.times_ms.tolist() == [1_763_640_000_500, 1_763_640_000_007, 1_763_640_000_000]
    assert batch.ids == ["ü", "-70000", None]
    assert (batch.models, batch.segments) == (["m", None, None], ["eu", None, None])
    assert batch.others == {"tag": ["true", "3", "x"]}


@pytest.mark.parametrize(
    "instance",
    [
        [1, 2, 3, 4, 5, 6],
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [1, 2.0, 3, 4.0, 5, 6],
        [[1, 2, 3], [4, 5, 6]],
        [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        np.arange(1, 7, dtype="<f4").tobytes(),
        np.arange(1, 7, dtype="<f8").tobytes(),
        msgpack.ExtType(0x17, np.arange(1, 7, dtype="<f4").tobytes()),
        msgpack.ExtType(0x18, np.arange(1, 7, dtype="<f8").tobytes()),
    ],
)
def test_numbers_may_be_written_in_many_ways(instance):
    batch = decode(event(instance=instance), schema=IMAGE)

    assert batch.rejected == []
    assert batch.instances.tolist() == [[[1, 2, 3], [4, 5, 6]]]


def test_every_integer_type_is_read():
    integers = [200, 60_000, 4_000_000_000, 2**40, -100, -30_000, -2_000_000_000, -(2**40), 7, -7]
    batch = decode(event(instance=integers), event(instance=integers[::-1]), schema=EventSchema((10,), 2))

    assert batch.instances.tolist() == np.float32([integers, integers[::-1]]).tolist()


def test_fields_are_found_at_their_paths():
    fields = EventFields(instance="payload.x", prediction="out", id="payload.id", segment="payload.id")
    value = msgpack.packb({"payload": {"id": "a", "more": 1, "x": [1, 2, 3]}, "out": [0.5, 0.5]})
    batch = decode(value, schema=EventSchema((3,), 2, fields=fields))

    assert batch.instances.tolist() == [[1, 2, 3]]
    assert batch.ids == batch.segments == ["a"]


@pytest.mark.parametrize(
    ("value", "reason", "part"),
    [
        (None, Reason.UNDECODABLE, "tombstone"),
        (b"", Reason.UNDECODABLE, "empty"),
        (b"\xc1", Reason.UNDECODABLE, "not one MessagePack value"),
        (event()[:-1], Reason.UNDECODABLE, "not one MessagePack value"),
        (event() + b"\0", Reason.UNDECODABLE, "not one MessagePack value"),
        (b"\x93\1\2\3", Reason.UNDECODABLE, "The value is an array, expected a MessagePack map"),
        (
            b"\x83" + event()[1:] + event()[1:22],
            Reason.UNDECODABLE,
            "'instance' stands in the event more than once",
        ),
        (b"\x83" + event()[1:] + b"\xa2id\xa1\xff", Reason.UNDECODABLE, "or is not UTF-8"),
        (event(instance=...), Reason.MISSING_FIELD, "'instance' is missing; the event holds 'prediction'"),
        (event(prediction=None), Reason.MISSING_FIELD, "'prediction' is null"),
        (event(instance="123"), Reason.WRONG_DTYPE, "is the text '123', expected numbers"),
        (event(instance=[1, "2", 3]), Reason.WRONG_DTYPE, "has the text '2' at position [1]"),
        (event(instance=[1, True, 3]), Reason.WRONG_DTYPE, "has true at position [1]"),
        (event(instance=[1, 2]), Reason.WRONG_SHAPE, "has shape (2,), expected (3,)"),
        (event(instance=b"1234"), Reason.WRONG_SHAPE, "has 4 bytes, expected 3 little-endian numbers"),
        (event(instance=[1, float("nan"), 3]), Reason.NOT_FINITE, "nan at position [1]"),
        (event(instance=[1, 1e39, 3.0]), Reason.NOT_FINITE, "too large for float32"),
        (event(prediction=[0.5, 0.6]), Reason.NOT_A_DISTRIBUTION, "sums to 1.1"),
        (event(id=1.5), Reason.WRONG_DTYPE, "'id' is the number 1.5, expected text or an integer"),
        (event(time="noon"), Reason.WRONG_DTYPE, "is 'noon', expected an RFC 3339 time"),
        (event(pad=b"." * 1_100_000), Reason.TOO_LARGE, "expected at most 1048576"),
    ],
)
def test_a_bad_event_is_rejected_for_what_it_is(value, reason, part):
    batch = decode(event(), value, event())

    assert batch.rows.tolist() == [0, 2]
    (bad,) = batch.rejected
    assert (bad.row, bad.reason) == (1, reason)
    assert part in bad.detail


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(width=32),
    st.text(max_size=40),
    st.binary(max_size=9),
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
numbers = st.one_of(st.integers(-500, 500), st.integers(2**32, 2**40), st.floats(-131072, 131072, width=32))
instances = st.one_of(
    st.lists(numbers, min_size=3, max_size=3),
    st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3),
    st.just(np.ones(3, "<f4").tobytes()),
    anything,
)
events = st.fixed_dictionaries(
    {},
    optional={
        "x": anything,
        "id": scalars,
        "instance": instances,
        "time": st.one_of(st.just(1_763_640_000_007), st.just("2025-11-20T12:00:00Z"), scalars),
        "prediction": st.one_of(st.just([0.5, 0.5]), st.just([1, 0]), instances),
        "tag": scalars,
        "segment": st.sampled_from(["eu", 1, None]),
    },
)


def as_told(value: bytes) -> Any:
    """What the exact reader says about one value: its columns, or the reason and detail."""
    try:
        told = ExactReader(TABULAR).read(value)
    except BadEventError as bad:
        return bad.reason, bad.detail
    time = TIMESTAMP_MS if told.time_ms is None else told.time_ms
    columns = (told.instance.astype("f4").tolist(), told.prediction.astype("f4").tolist())
    return *columns, told.id, told.segment, told.others[0], time


def as_decoded(batch: EventBatch, n: int) -> list[Any]:
    told: list[Any] = [None] * n
    for bad in batch.rejected:
        told[bad.row] = bad.reason, bad.detail
    absent = [None] * len(batch)
    columns = (
        batch.instances,
        batch.predictions,
        batch.ids,
        batch.segments,
        batch.others["tag"],
        batch.times_ms,
    )
    listed = [absent if one is None else list(one) for one in columns]
    for row, instance, prediction, *others in zip(batch.rows.tolist(), *listed, strict=True):
        assert told[row] is None
        told[row] = (instance.tolist(), prediction.tolist(), *others)
    return told


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(events, st.booleans()), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 80), st.integers(0, 255)), max_size=4),
)
def test_whatever_the_bytes_the_fast_way_says_what_the_exact_one_says(sent, changes):
    values = [bytearray(msgpack.packb(one, use_single_float=single)) for one, single in sent]
    for row, position, byte in changes:
        if row < len(values) and position < len(values[row]):
            values[row][position] = byte
    sent_values = [bytes(value) for value in values]

    assert as_decoded(decode(*sent_values), len(sent)) == [as_told(value) for value in sent_values]
