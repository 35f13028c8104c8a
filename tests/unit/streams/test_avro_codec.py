"""What becomes of Avro events, good and bad."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro import parse_schema, schemaless_writer
from fastavro.utils import generate_many
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codecs.avro.codec import AvroCodec
from streams.codecs.avro.exact import ExactReader
from streams.codecs.avro.writer_schema import parse_writer_schema
from streams.codecs.rejection import BadEventError
from streams.events import EventBatch, EventFields, EventSchema
from streams.events import RejectReason as Reason
from streams.registry.client import JSON, RegisteredSchema, SchemaReference
from tests.records_in_memory import TIMESTAMP_MS, batch_of
from tests.schemas_in_memory import SchemasInMemory

SHAPE = EventSchema(input_shape=(3,), n_classes=2)
IMAGE = EventSchema(input_shape=(2, 3), n_classes=2)
FLOATS = {"type": "array", "items": "float"}
DOUBLES = {"type": "array", "items": "double"}
GOOD = {"instance": [1, 2.5, -3], "prediction": [0.25, 0.75]}


def record(*fields: tuple[str, Any], name: str = "Event") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields]}


def optional(kind: Any) -> list[Any]:
    return ["null", kind]


PLAIN = record(("instance", FLOATS), ("prediction", DOUBLES))


def encoded(schema: Any, event: dict[str, Any], identifier: int = 1) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, parse_schema(schema), event)
    return b"\0" + identifier.to_bytes(4, "big") + stream.getvalue()


def decode(schema: Any, *events: dict[str, Any] | bytes | None, expected: EventSchema = SHAPE) -> EventBatch:
    values = [encoded(schema, event) if isinstance(event, dict) else event for event in events]
    return AvroCodec(expected, schema_registry=SchemasInMemory({1: schema})).decode(batch_of(values))


def rejected(batch: EventBatch) -> tuple[Reason, str]:
    assert len(batch) == 0
    (bad,) = batch.rejected
    return bad.reason, bad.detail


FULL = record(
    ("id", optional("string")),
    ("time", optional({"type": "long", "logicalType": "timestamp-micros"})),
    ("model", {"type": "enum", "name": "Model", "symbols": ["a", "b"]}),
    ("trace", {"type": "map", "values": "long"}),
    ("segment", ["null", "string", "long"]),
    ("instance", DOUBLES),
    ("more", {"type": "array", "items": record(("x", "float"), ("y", optional("string")), name="Pair")}),
    ("prediction", optional(FLOATS)),
)


def test_columns_hold_what_the_real_producer_wrote():
    registry = SchemaRegistryClient.new_client({"url": "mock://avro-columns"})
    serialize = AvroSerializer(registry, json.dumps(FULL))
    context = SerializationContext("events", MessageField.VALUE)
    more = {"trace": {"a": 1, "b": -5}, "more": [{"x": 1.5, "y": None}, {"x": 0, "y": "é"}]}
    values = [
        serialize(
            {**GOOD, **more, "id": "ü1", "time": 1_763_640_000_000_999, "model": "a", "segment": "eu"},
            context,
        ),
        serialize({**GOOD, **more, "id": None, "time": None, "model": "b", "segment": 7}, context),
        serialize(
            {**GOOD, **more, "id": "x", "time": None, "model": "b", "segment": None, "trace": {}}, context
        ),
    ]
    number = int.from_bytes(values[0][1:5], "big")

    batch = AvroCodec(SHAPE, schema_registry=SchemasInMemory({number: FULL})).decode(batch_of(values))

    assert batch.rejected == []
    assert batch.instances.dtype == batch.predictions.dtype == np.float32
    assert batch.instances.tolist() == [[1, 2.5, -3]] * 3
    assert batch.predictions.tolist() == [[0.25, 0.75]] * 3
    assert batch.times_ms.tolist() == [1_763_640_000_000, TIMESTAMP_MS, TIMESTAMP_MS]
    assert batch.ids == ["ü1", None, "x"]
    assert batch.models == ["a", "b", "b"]
    assert batch.segments == ["eu", "7", None]


def test_the_schema_may_be_named_in_a_header():
    registry = SchemaRegistryClient.new_client({"url": "mock://avro-headers"})
    serialize = AvroSerializer(
        registry, json.dumps(PLAIN), conf={"schema.id.serializer": header_schema_id_serializer}
    )
    context = SerializationContext("events", MessageField.VALUE, headers=[("trace", b"1")])
    value = serialize(GOOD, context)
    guid = UUID(bytes=dict(context.headers)["__value_schema_id"][1:])
    records = batch_of([value, encoded(PLAIN, GOOD)], [context.headers, None])

    batch = AvroCodec(SHAPE, schema_registry=SchemasInMemory({guid: PLAIN, 1: PLAIN})).decode(records)

    assert batch.instances.tolist() == [[1, 2.5, -3]] * 2
    assert batch.rejected == []


def test_events_of_several_schemas_stay_in_order():
    other = record(("prediction", FLOATS), ("instance", {"type": "array", "items": "int"}), ("id", "long"))
    source = SchemasInMemory({1: PLAIN, 2: other})
    events = [
        encoded(PLAIN, GOOD),
        encoded(other, {**GOOD, "instance": [7, -800, 90_000], "id": 5}, 2),
        encoded(PLAIN, {**GOOD, "instance": [4, 5, 6]}),
    ]
    codec = AvroCodec(SHAPE, schema_registry=source)

    for _ in range(2):
        batch = codec.decode(batch_of(events))
        assert batch.instances.tolist() == [[1, 2.5, -3], [7, -800, 90_000], [4, 5, 6]]
        assert batch.ids == [None, "5", None]
    assert source.asked == [1, 2], "a schema is fetched once"


@pytest.mark.parametrize(
    ("kind", "instance"),
    [
        (FLOATS, [1, 2, 3, 4, 5, 6]),
        ({"type": "array", "items": DOUBLES}, [[1, 2, 3], [4, 5, 6]]),
        ({"type": "array", "items": {"type": "array", "items": "long"}}, [[1, 2, 3], [4, 5, 6]]),
        ({"type": "array", "items": optional("float")}, [1, 2, 3, 4, 5, 6]),
        ("bytes", np.arange(1, 7, dtype="<f4").tobytes()),
        ("bytes", np.arange(1, 7, dtype="<f8").tobytes()),
        ({"type": "fixed", "name": "Image", "size": 24}, np.arange(1, 7, dtype="<f4").tobytes()),
    ],
)
def test_numbers_may_be_written_in_many_ways(kind, instance):
    schema = record(("instance", kind), ("prediction", DOUBLES))
    batch = decode(schema, {**GOOD, "instance": instance}, expected=IMAGE)

    assert batch.rejected == []
    assert batch.instances.tolist() == [[[1, 2, 3], [4, 5, 6]]]


@pytest.mark.parametrize(
    ("kind", "time"),
    [
        ("long", 1_763_640_000_123),
        ({"type": "long", "logicalType": "timestamp-millis"}, 1_763_640_000_123),
        (optional({"type": "long", "logicalType": "timestamp-micros"}), 1_763_640_000_123_456),
        ({"type": "long", "logicalType": "local-timestamp-micros"}, 1_763_640_000_123_456),
        ("string", "2025-11-20T12:00:00.123Z"),
    ],
)
@pytest.mark.parametrize(
    "instance", [FLOATS, {"type": "array", "items": optional("float")}], ids=["fast", "exact"]
)
def test_times_may_be_written_in_many_ways(kind, time, instance):
    schema = record(("instance", instance), ("prediction", DOUBLES), ("time", kind))
    stream = BytesIO()
    schemaless_writer(
        stream,
        parse_schema(json.loads(json.dumps(schema).replace("logicalType", "was"))),
        {**GOOD, "time": time},
    )

    batch = decode(schema, b"\0\0\0\0\1" + stream.getvalue())

    assert batch.times_ms.tolist() == [1_763_640_000_123]


def test_fields_are_found_at_their_paths():
    features = record(("values", FLOATS), ("id", "string"), name="Features")
    schema = record(("payload", optional(features)), ("output", record(("p", DOUBLES), name="Output")))
    fields = EventFields(instance="payload.values", prediction="output.p", id="payload.id")
    expected = EventSchema((3,), 2, fields=fields)
    event = {"payload": {"values": [1, 2, 3], "id": "a"}, "output": {"p": [0.5, 0.5]}}

    batch = decode(schema, event, {**event, "payload": None}, expected=expected)

    assert batch.instances.tolist() == [[1, 2, 3]]
    assert batch.ids == ["a"]
    assert [(bad.row, bad.reason) for bad in batch.rejected] == [(1, Reason.MISSING_FIELD)]


def test_arrays_in_several_blocks_are_read():
    floats = np.array([1, 2.5, -3], dtype="<f4")
    # A block of two with its size in bytes, then one of one, then the end.
    instance = b"\x03\x10" + floats[:2].tobytes() + b"\x02" + floats[2:].tobytes() + b"\0"
    prediction = encoded(PLAIN, GOOD)[5 + 1 + 12 + 1 :]

    batch = decode(PLAIN, b"\0\0\0\0\1" + instance + prediction)

    assert batch.instances.tolist() == [[1, 2.5, -3]]


def test_schemas_may_use_others_of_the_registry():
    tensor = record(("data", FLOATS), name="Tensor")
    reference = SchemaReference("Tensor", "tensor-value", 3)
    schema = record(("instance", "Tensor"), ("prediction", DOUBLES))
    source = SchemasInMemory({1: RegisteredSchema("AVRO", json.dumps(schema), (reference,))})
    inline = record(("instance", tensor), ("prediction", DOUBLES))
    value = encoded(inline, {**GOOD, "instance": {"data": [1, 2, 3]}})
    codec = AvroCodec(
        EventSchema((3,), 2, fields=EventFields(instance="instance.data")), schema_registry=source
    )

    reason, detail = rejected(codec.decode(batch_of([value])))
    assert reason is Reason.UNDECODABLE
    assert "version 3 of subject 'tensor-value', which the registry http://in-memory does not have" in detail

    source.versions[reference] = RegisteredSchema("AVRO", json.dumps(tensor))
    codec = AvroCodec(
        EventSchema((3,), 2, fields=EventFields(instance="instance.data")), schema_registry=source
    )
    assert codec.decode(batch_of([value])).instances.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("value", "reason", "part"),
    [
        (None, Reason.UNDECODABLE, "tombstone"),
        (b"", Reason.UNDECODABLE, "empty"),
        (b'{"instance": []}', Reason.UNDECODABLE, "begins with b'{\"ins', expected a 0 and the four bytes"),
        (b"\0\0\0", Reason.UNDECODABLE, "begins with b'\\x00\\x00\\x00', expected"),
        (b"\0\0\0\0\7abc", Reason.UNDECODABLE, "schema 7, which the registry http://in-memory does not have"),
        (encoded(PLAIN, GOOD)[:-1], Reason.UNDECODABLE, "not what its Avro schema says"),
        (encoded(PLAIN, GOOD) + b"\0", Reason.UNDECODABLE, "ends after 32 of 33 bytes"),
        (
            encoded(PLAIN, {**GOOD, "instance": [1, 2]}),
            Reason.WRONG_SHAPE,
            "'instance' has shape (2,), expected (3,)",
        ),
        (
            encoded(PLAIN, {**GOOD, "instance": [1, 2, float("nan")]}),
            Reason.NOT_FINITE,
            "nan at position [2]",
        ),
        (encoded(PLAIN, {**GOOD, "prediction": [1e39, 0]}), Reason.NOT_FINITE, "too large for float32"),
        (encoded(PLAIN, {**GOOD, "prediction": [0.5, 0.6]}), Reason.NOT_A_DISTRIBUTION, "sums to 1.1"),
        (
            encoded(PLAIN, {**GOOD, "prediction": [-0.5, 1.5]}),
            Reason.NOT_A_DISTRIBUTION,
            "-0.5 at position [0]",
        ),
        (b"\0\0\0\0\1" + b"\0" * 2_000_000, Reason.TOO_LARGE, "2000005 bytes"),
    ],
)
def test_a_bad_event_is_rejected_for_what_it_is(value, reason, part):
    found, detail = rejected(decode(PLAIN, value))
    assert found is reason
    assert part in detail


@pytest.mark.parametrize(
    ("fields", "event", "reason", "part"),
    [
        (
            [("prediction", DOUBLES)],
            {},
            Reason.MISSING_FIELD,
            "The field 'instance' is missing; the event holds",
        ),
        ([("instance", optional(FLOATS))], {"instance": None}, Reason.MISSING_FIELD, "'instance' is null"),
        (
            [("instance", "string")],
            {"instance": "1"},
            Reason.WRONG_DTYPE,
            "is the text '1', expected numbers",
        ),
        (
            [("instance", "double")],
            {"instance": 1.0},
            Reason.WRONG_DTYPE,
            "is the number 1.0, expected numbers",
        ),
        (
            [("instance", "bytes")],
            {"instance": b"123"},
            Reason.WRONG_SHAPE,
            "has 3 bytes, expected 3 little-endian",
        ),
        (
            [("instance", {"type": "map", "values": "float"})],
            {"instance": {}},
            Reason.WRONG_DTYPE,
            "is an object",
        ),
        (
            [("instance", FLOATS), ("id", "double")],
            {"id": 1.5},
            Reason.WRONG_DTYPE,
            "expected text or an integer",
        ),
        (
            [("instance", FLOATS), ("time", "string")],
            {"time": "noon"},
            Reason.WRONG_DTYPE,
            "is 'noon', expected an RFC",
        ),
        (
            [("instance", FLOATS), ("time", "long")],
            {"time": 2**62},
            Reason.WRONG_DTYPE,
            "expected an RFC 3339 time",
        ),
    ],
)
def test_a_schema_without_the_right_fields_rejects_its_events(fields, event, reason, part):
    if fields[0][0] != "prediction":
        fields = [*fields, ("prediction", DOUBLES)]
    found, detail = rejected(decode(record(*fields), {**GOOD, **event}))
    assert found is reason
    assert part in detail


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        (RegisteredSchema(JSON, "{}"), "is of type JSON, expected an Avro schema"),
        (RegisteredSchema("AVRO", "{"), "cannot be parsed"),
        (RegisteredSchema("AVRO", '{"type": "recrod", "name": "E"}'), "cannot be parsed"),
        (RegisteredSchema("AVRO", '"string"'), "describes a value of type 'string'"),
    ],
)
def test_a_schema_that_is_of_no_use_rejects_its_events(schema, part):
    codec = AvroCodec(SHAPE, schema_registry=SchemasInMemory({1: schema}))
    reason, detail = rejected(codec.decode(batch_of([b"\0\0\0\0\1abc"])))
    assert reason is Reason.UNDECODABLE
    assert part in detail


RECURSIVE = {
    "type": "record",
    "name": "Event",
    "fields": [*PLAIN["fields"], {"name": "before", "type": ["null", "Event"]}],
}
SCHEMAS = [
    PLAIN,
    FULL,
    RECURSIVE,
    record(("id", "long"), ("instance", {"type": "array", "items": "long"}), ("prediction", DOUBLES)),
    record(
        ("blob", "bytes"),
        ("prediction", FLOATS),
        ("time", optional("string")),
        ("instance", optional("bytes")),
    ),
    record(
        ("texts", {"type": "array", "items": ["null", "string", {"type": "map", "values": DOUBLES}]}),
        ("instance", [FLOATS, "bytes"]),
        ("segment", {"type": "fixed", "name": "F", "size": 2}),
        ("prediction", DOUBLES),
    ),
]


def some_events(schema: Any, seed: int) -> list[bytes]:
    """Valid encodings of a schema, in most of which the instance and the prediction are right too."""
    import random

    random.seed(seed)
    values = []
    for event in generate_many(parse_schema(schema), 12):
        if random.random() < 0.8:
            plain = isinstance(event["instance"], bytes) or "blob" in event
            event["instance"] = np.ones(3, "<f4").tobytes() if plain else [1, 2, random.randrange(5)]
            event["prediction"] = [0.5, 0.5]
        values.append(encoded(schema, event))
    return values


def as_told(schema: Any, value: bytes) -> Any:
    """What the exact reader says about one value: its columns, or the reason and detail."""
    writer = parse_writer_schema(RegisteredSchema("AVRO", json.dumps(schema)), [])
    try:
        event = ExactReader(SHAPE, writer).read(value[5:])
    except BadEventError as bad:
        return bad.reason, bad.detail
    time = TIMESTAMP_MS if event.time_ms is None else event.time_ms
    numbers = (event.instance.astype("f4").tolist(), event.prediction.astype("f4").tolist())
    return *numbers, event.id, event.model, event.segment, time


def as_decoded(batch: EventBatch, n: int) -> list[Any]:
    told: list[Any] = [None] * n
    for bad in batch.rejected:
        told[bad.row] = bad.reason, bad.detail
    absent = [None] * len(batch)
    columns = zip(
        batch.rows.tolist(),
        batch.instances.tolist(),
        batch.predictions.tolist(),
        batch.ids or absent,
        batch.models or absent,
        batch.segments or absent,
        batch.times_ms.tolist(),
        strict=True,
    )
    for row, *event in columns:
        assert told[row] is None
        told[row] = tuple(event)
    return told


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SCHEMAS),
    st.integers(0, 10**6),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 60), st.integers(0, 255)), max_size=8),
    st.integers(0, 3),
)
def test_whatever_the_bytes_the_fast_way_says_what_the_exact_one_says(schema, seed, changes, cut):
    values = [bytearray(value) for value in some_events(schema, seed)]
    for row, position, byte in changes:
        if 5 + position < len(values[row]):
            values[row][5 + position] = byte
    values[-1] = values[-1][: max(len(values[-1]) - cut, 5)]
    sent = [bytes(value) for value in values]

    batch = AvroCodec(SHAPE, schema_registry=SchemasInMemory({1: schema})).decode(batch_of(sent))

    assert as_decoded(batch, len(sent)) == [as_told(schema, value) for value in sent]
