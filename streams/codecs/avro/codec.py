"""Format ``avro``: Avro records with the id of their schema, decoded to columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.codecs.avro.exact import ExactReader
from streams.codecs.avro.plan import Plan, UnusualSchemaError
from streams.codecs.avro.writer_schema import parse_writer_schema
from streams.codecs.columnar.cursors import Cursors
from streams.codecs.columnar.found import Found
from streams.codecs.columnar.wanted import wanted_fields
from streams.codecs.event_reader import ReadEvent
from streams.codecs.registered.references import used_schemas
from streams.codecs.registered.schema_cache import SchemaCache, SchemaSource
from streams.codecs.registered.schema_ids import SchemaGroup, group_by_schema
from streams.codecs.rejection import BadEventError
from streams.codecs.schema_check import check_schema
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch
from streams.registry.client import RegisteredSchema


class AvroCodec:
    """Decodes Avro events that name their schema as clients of a schema registry do.

    The instance and the prediction are arrays of ``float``, ``double``, ``int`` or ``long``, flat or nested
    as the input shape, or ``bytes`` or ``fixed`` with little-endian float32 or float64. ``time`` is a
    ``long`` in milliseconds or of a timestamp's logical type, or RFC 3339 text. ``id``, ``model`` and
    ``segment`` are texts, enums or integers. A null stands for an absent field.

    Parameters
    ----------
    schema
        What a valid event looks like.
    schema_registry
        Where the schemas are that events were written with.

    Raises
    ------
    CodecError
        If a field path or the shape is wrong.

    Notes
    -----
    Each writer's schema is compiled to a plan that reads one part of all events at once with numpy. Whatever
    it doubts goes to ``ExactReader``, which decides; so speed never changes a verdict.
    """

    reads_other_fields = True

    def __init__(self, schema: EventSchema, *, schema_registry: SchemaSource) -> None:
        check_schema(schema)
        self._schema = schema
        self._registry = schema_registry
        self._wanted = wanted_fields(schema)
        self._writers = SchemaCache(schema_registry, self._prepare)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises.

        Raises
        ------
        SchemaRegistryError
            If a schema cannot be fetched; the same batch can be decoded again later.
        """
        found = Found(self._schema, len(records))
        exact_readers: dict[int, tuple[ExactReader, int]] = {}
        group_of = np.zeros(len(records), dtype=np.int64)
        for number, group in enumerate(group_by_schema(records, self._schema.max_bytes, found.reject)):
            try:
                writer = self._writers.get(group.identifier)
            except BadEventError as bad:
                found.reject(group.rows, bad)
                continue
            group_of[group.rows] = number
            exact_readers[number] = writer.exact, group.start
            writer.read(records, group, found)

        def judge(row: int) -> ReadEvent:
            exact, start = exact_readers[int(group_of[row])]
            return exact.read((records.values[row] or b"")[start:])

        return found.finish(records, judge)

    def _prepare(self, registered: RegisteredSchema) -> _Writer:
        writer = parse_writer_schema(registered, used_schemas(registered, self._registry))
        shapes = {"instance": self._schema.input_shape, "prediction": (self._schema.n_classes,)}
        try:
            plan = Plan(writer.parsed, writer.named, self._wanted, shapes)
        except UnusualSchemaError:
            plan = None
        return _Writer(plan, ExactReader(self._schema, writer))


@dataclass(frozen=True)
class _Writer:
    """How to read what was written with one schema; without a plan everything is read exactly."""

    plan: Plan | None
    exact: ExactReader

    def read(self, records: RecordBatch, group: SchemaGroup, found: Found) -> None:
        if self.plan is None:
            found.good[group.rows] = False
            return
        values = records.values
        # A group has no row without a value.
        cursors = Cursors.over([values[row] or b"" for row in group.rows.tolist()], group.rows, group.start)
        self.plan.read(cursors, found)
        cursors.doubt(cursors.at != cursors.ends)
        found.good[group.rows] &= cursors.good
