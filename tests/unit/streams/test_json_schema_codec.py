"""What becomes of JSON events with the id of their schema, good and bad."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.codecs.json.codec import JsonCodec
from streams.codecs.registered.json_schema_codec import JsonSchemaCodec
from streams.errors import SchemaRegistryError
from streams.events import EventBatch, EventSchema
from streams.events import RejectReason as Reason
from streams.records import Headers
from streams.registry.client import AVRO, JSON, RegisteredSchema
from tests.records_in_memory import batch_of
from tests.schemas_in_memory import SchemasInMemory

SCHEMA = EventSchema(input_shape=(3,), n_classes=2, max_bytes=500, others=("site",))
GUID = UUID("12345678-1234-5678-1234-567812345678")
EVENT = {"id": "a", "instance": [1, 2.5, -3], "prediction": [0.25, 0.75], "site": "north"}
BODY = json.dumps(EVENT).encode()
NUMBERED, BY_GUID = b"\0\0\0\0\7", b"\1" + GUID.bytes
NAMED = "__value_schema_id"


def registry() -> SchemasInMemory:
    plain = RegisteredSchema(JSON, "{}")
    return SchemasInMemory({7: plain, GUID: plain, 8: RegisteredSchema(AVRO, '"string"')})


def decode(*values: bytes | None, headers: list[Headers | None] | None = None) -> EventBatch:
    return JsonSchemaCodec(SCHEMA, schema_registry=registry()).decode(batch_of(values, headers))


def test_an_id_may_stand_in_front_or_in_a_header_as_number_or_guid() -> None:
    headers: list[Headers | None] = [None, None, [(NAMED, NUMBERED)], [(NAMED, b"?"), (NAMED, BY_GUID)]]
    batch = decode(NUMBERED + BODY, BY_GUID + BODY, BODY, BODY, headers=headers)

    assert list(batch.rejected) == []
    assert batch.instances.tolist() == [[1, 2.5, -3]] * 4
    assert (batch.ids, list(batch.others["site"])) == (["a"] * 4, ["north"] * 4)
    assert batch.records.values[0] == NUMBERED + BODY, "a dead letter is the record as it came"


@pytest.mark.parametrize("in_header", [False, True])
def test_what_the_serializer_of_the_registry_writes_is_read(in_header: bool) -> None:
    client = SchemaRegistryClient.new_client({"url": f"mock://json-schema-{in_header}"})
    text = json.dumps({"title": "Inference", "type": "object"})
    options: dict[str, Any] = {"schema.id.serializer": header_schema_id_serializer} if in_header else {}
    written: Headers = []
    value = JSONSerializer(text, client, conf=options)(
        EVENT, SerializationContext("events", MessageField.VALUE, written)
    )
    known = client.get_latest_version("events-value")
    schemas = SchemasInMemory(
        dict.fromkeys((known.schema_id, UUID(known.guid)), RegisteredSchema(JSON, text))
    )
    batch = JsonSchemaCodec(SCHEMA, schema_registry=schemas).decode(batch_of([value], [written]))

    assert (len(batch), list(batch.rejected)) == (1, [])
    assert len(schemas.asked) == 1


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (None, Reason.UNDECODABLE, "tombstone"),
        (b"", Reason.UNDECODABLE, "empty"),
        (NUMBERED, Reason.UNDECODABLE, "empty"),
        (b"\0\0\0\7", Reason.UNDECODABLE, "begins with"),
        (BODY, Reason.UNDECODABLE, "begins with"),
        (b"\2\0\0\0\7" + BODY, Reason.UNDECODABLE, "begins with"),
        (BY_GUID[:9], Reason.UNDECODABLE, "begins with"),
        (b"\0\0\0\0\6" + BODY, Reason.UNDECODABLE, "schema 6"),
        (b"\1" + bytes(16) + BODY, Reason.UNDECODABLE, "does not have"),
        (b"\0\0\0\0\x08" + BODY, Reason.UNDECODABLE, "of type AVRO, expected JSON"),
        (NUMBERED + BODY[:-1], Reason.UNDECODABLE, "not JSON"),
        (NUMBERED + b'{"instance": [1, 2, 3]}', Reason.MISSING_FIELD, "'prediction'"),
        (NUMBERED + BODY.replace(b"-3", b"-3, 4"), Reason.WRONG_SHAPE, "(4,)"),
        (NUMBERED + BODY + b" " * 500, Reason.TOO_LARGE, "at most 500"),
    ],
)
def test_a_bad_event_is_refused_with_its_reason_and_its_neighbours_are_read(
    value: bytes | None, reason: Reason, words: str
) -> None:
    batch = decode(NUMBERED + BODY, value, BY_GUID + BODY)

    assert batch.rows.tolist() == [0, 2]
    assert [(one.row, one.reason) for one in batch.rejected] == [(1, reason)]
    assert words in batch.rejected[0].detail


def test_a_header_that_is_no_id_is_refused_though_the_value_begins_with_one() -> None:
    batch = decode(NUMBERED + BODY, headers=[[(NAMED, b"7")]])

    assert [one.reason for one in batch.rejected] == [Reason.UNDECODABLE]
    assert "header '__value_schema_id' is b'7'" in batch.rejected[0].detail


def test_each_schema_is_asked_for_once() -> None:
    schemas = registry()
    codec = JsonSchemaCodec(SCHEMA, schema_registry=schemas)
    for _ in range(3):
        codec.decode(batch_of([NUMBERED + BODY, BY_GUID + BODY, NUMBERED + BODY]))

    assert sorted(map(str, schemas.asked)) == [str(GUID), "7"]


def test_without_a_registry_ids_are_passed_over() -> None:
    batch = JsonSchemaCodec(SCHEMA).decode(batch_of([b"\0\0\0\0\x63" + BODY, BODY]))

    assert batch.rows.tolist() == [0]
    assert [one.row for one in batch.rejected] == [1]


@dataclass
class Absent:
    """A registry that does not answer until told to."""

    there: bool = False
    url: str = "http://absent"

    def schema(self, identifier: int | UUID) -> RegisteredSchema:
        if not self.there:
            raise SchemaRegistryError("The registry does not answer.")
        return RegisteredSchema(JSON, "{}")

    def version(self, reference: object) -> None: ...


def test_a_batch_whose_schema_cannot_be_asked_for_is_read_later() -> None:
    source = Absent()
    codec = JsonSchemaCodec(SCHEMA, schema_registry=source)
    with pytest.raises(SchemaRegistryError):
        codec.decode(batch_of([NUMBERED + BODY]))
    source.there = True

    assert len(codec.decode(batch_of([NUMBERED + BODY]))) == 1


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
FIELDS = st.sampled_from(["id", "time", "instance", "prediction", "site", "model"])
EVENTS = st.dictionaries(FIELDS, SCALARS | st.lists(SCALARS, max_size=4), max_size=6)


@settings(deadline=None)
@given(
    changed=st.lists(EVENTS, max_size=4),
    garbage=st.lists(st.binary(max_size=30), max_size=3),
    mark=st.sampled_from([NUMBERED, BY_GUID]),
)
def test_an_event_behind_an_id_gets_the_answer_of_the_json_codec(
    changed: list[dict[str, Any]], garbage: list[bytes], mark: bytes
) -> None:
    bodies = [json.dumps({**EVENT, **change}).encode() for change in changed] + [b"{" + g for g in garbage]
    framed = decode(*(mark + body for body in bodies))
    plain = JsonCodec(SCHEMA).decode(batch_of(bodies))

    assert framed.rows.tolist() == plain.rows.tolist()
    assert framed.instances.tolist() == plain.instances.tolist()
    assert framed.ids == plain.ids
    assert list(framed.rejected) == list(plain.rejected)


@settings(deadline=None)
@given(
    values=st.lists(st.none() | st.binary(max_size=30), max_size=6), mark=st.none() | st.binary(max_size=18)
)
def test_any_bytes_are_accepted_or_rejected_once(values: list[bytes | None], mark: bytes | None) -> None:
    headers: list[Headers | None] = [None if mark is None else [(NAMED, mark)]] * len(values)
    batch = decode(*values, headers=headers)

    assert sorted([*batch.rows.tolist(), *(one.row for one in batch.rejected)]) == list(range(len(values)))
    assert all(one.detail.endswith(".") for one in batch.rejected)
