"""The schema that events were written with, parsed and made ready for both ways to read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from streams.codecs.avro.kinds import LOGICAL_TYPE, kind_of
from streams.codecs.rejection import BadEventError, shown
from streams.events import RejectReason
from streams.registry.client import AVRO, RegisteredSchema


@dataclass(frozen=True)
class WriterSchema:
    """A record schema with all that it refers to.

    Attributes
    ----------
    parsed
        As fastavro parses it, logical types included.
    plain
        The same without logical types, by which values are read as what they are stored as.
    named
        Definitions by full name.
    """

    parsed: Any
    plain: Any
    named: dict[str, Any]


def parse_writer_schema(registered: RegisteredSchema, used: list[RegisteredSchema]) -> WriterSchema:
    """Parse a schema.

    Parameters
    ----------
    registered
        The schema.
    used
        All schemas that it uses, each behind those that it uses itself.

    Raises
    ------
    BadEventError
        If it is no Avro schema of records.
    """
    if registered.type != AVRO:
        _refuse(f"is of type {registered.type}")
    try:
        raw = [json.loads(one.text) for one in (*used, registered)]
        named: dict[str, Any] = {}
        plain_named: dict[str, Any] = {}
        for definition in raw:
            parsed = parse_schema(definition, named_schemas=named, _write_hint=False)
            plain = parse_schema(_without_logical_types(definition), named_schemas=plain_named)
    except (SchemaParseException, UnknownType, ValueError, TypeError, LookupError, RuntimeError) as error:
        _refuse(f"cannot be parsed ({shown(str(error))})")
    if kind_of(parsed, named) != "record":
        _refuse(f"describes a value of type {kind_of(parsed, named)!r}")
    return WriterSchema(parsed, plain, named)


def _refuse(fault: str) -> NoReturn:
    raise BadEventError(
        RejectReason.UNDECODABLE,
        f"The schema that the event was written with {fault}, expected an Avro schema of a record.",
    )


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {key: _without_logical_types(part) for key, part in schema.items() if key != LOGICAL_TYPE}
    return schema
