"""What a part of an Avro schema is."""

from __future__ import annotations

from typing import Any

LOGICAL_TYPE = "logicalType"

PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
COMPLEX = frozenset({"record", "error", "enum", "array", "map", "fixed"})

UNITS_PER_MS = {
    "timestamp-millis": 1,
    "timestamp-micros": 1000,
    "timestamp-nanos": 1_000_000,
    "local-timestamp-millis": 1,
    "local-timestamp-micros": 1000,
    "local-timestamp-nanos": 1_000_000,
}
"""Units of a long in a millisecond by logical type; a long without one is in milliseconds."""


def resolved(schema: Any, named: dict[str, Any]) -> Any:
    """Follow names and wrappers (``{"type": {"type": "array", ...}}``) to what a parsed schema says.

    Returns
    -------
    list, str or dict
        A union, a primitive type, or a dict whose ``type`` is the name of a kind.
    """
    while True:
        if isinstance(schema, str) and schema not in PRIMITIVES:
            schema = named[schema]
        elif isinstance(schema, dict) and not _names_kind(schema["type"]):
            schema = schema["type"]
        else:
            return schema


def kind_of(schema: Any, named: dict[str, Any]) -> str:
    """Return the kind of a parsed schema: a primitive type, ``union``, ``record``, ``array`` and so on."""
    found = resolved(schema, named)
    if isinstance(found, list):
        return "union"
    kind = str(found["type"] if isinstance(found, dict) else found)
    return "record" if kind == "error" else kind


def _names_kind(kind: Any) -> bool:
    return isinstance(kind, str) and (kind in PRIMITIVES or kind in COMPLEX)
