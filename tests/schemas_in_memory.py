"""Schemas without a registry."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from streams.registry.client import AVRO, RegisteredSchema, SchemaReference


class SchemasInMemory:
    """A schema registry that is a dict.

    Parameters
    ----------
    schemas
        Schemas by number or GUID; what is not registered yet is taken for the text of an Avro schema.
    """

    url = "http://in-memory"

    def __init__(self, schemas: dict[int | UUID, Any]) -> None:
        self._schemas = {
            identifier: schema
            if isinstance(schema, RegisteredSchema)
            else RegisteredSchema(AVRO, json.dumps(schema))
            for identifier, schema in schemas.items()
        }
        self.versions: dict[SchemaReference, RegisteredSchema] = {}
        self.asked: list[int | UUID] = []

    def schema(self, identifier: int | UUID) -> RegisteredSchema | None:
        self.asked.append(identifier)
        return self._schemas.get(identifier)

    def version(self, reference: SchemaReference) -> RegisteredSchema | None:
        return self.versions.get(reference)
