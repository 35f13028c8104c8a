"""Format ``json_schema``: JSON events with the id of their schema, as clients of a registry write them."""

from __future__ import annotations

from dataclasses import replace

from streams.codecs.columnar.cursors import Ints
from streams.codecs.json.codec import JsonCodec
from streams.codecs.registered.schema_cache import SchemaCache, SchemaSource
from streams.codecs.registered.schema_ids import group_by_schema
from streams.codecs.rejection import BadEventError
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.records import RecordBatch
from streams.registry.client import JSON, RegisteredSchema


class JsonSchemaCodec:
    """Decodes what ``JsonCodec`` does, behind a schema id or with the id in a header.

    Where no registry is given, the ids are not looked up. That an event is as its schema says was for its
    producer to check; here it must be as ``schema`` says.

    Parameters
    ----------
    schema
        What a valid event looks like.
    schema_registry
        Where the schemas are.

    Raises
    ------
    CodecError
        If a field path or the shape is wrong.
    """

    reads_other_fields = True

    def __init__(self, schema: EventSchema, *, schema_registry: SchemaSource | None = None) -> None:
        self._max_bytes = schema.max_bytes
        self._json = JsonCodec(schema)
        self._schemas = None if schema_registry is None else SchemaCache(schema_registry, _check_type)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises.

        Raises
        ------
        SchemaRegistryError
            If an id cannot be looked up; the same batch can be decoded again later.
        """
        refused: dict[int, RejectedEvent] = {}

        def refuse(rows: Ints, bad: BadEventError) -> None:
            refused.update({row: RejectedEvent(row, bad.reason, bad.detail) for row in rows.tolist()})

        values = records.values
        events: list[bytes | None] = [None] * len(records)
        for group in group_by_schema(records, self._max_bytes, refuse):
            try:
                if self._schemas is not None:
                    self._schemas.get(group.identifier)
            except BadEventError as bad:
                refuse(group.rows, bad)
                continue
            for row in group.rows.tolist():
                events[row] = (values[row] or b"")[group.start :]
        batch = self._json.decode(records.with_values(events))
        rejected = [refused.get(event.row, event) for event in batch.rejected]
        return replace(batch, records=records, rejected=rejected)


def _check_type(registered: RegisteredSchema) -> None:
    if registered.type != JSON:
        raise BadEventError(
            RejectReason.UNDECODABLE,
            f"The schema that the event was written with is of type {registered.type}, expected {JSON}.",
        )
