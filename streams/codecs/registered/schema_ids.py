"""Which schema each event was written with, as clients of a schema registry say it.

In front of the value stand a 0 and the schema's number (four bytes, big-endian), or a 1 and its GUID (16
bytes). Newer clients put the same bytes into a header instead, and leave the value as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from streams import headers as names
from streams.codecs.columnar.cursors import Ints
from streams.codecs.rejection import BadEventError, checked_value, shown
from streams.events import RejectReason
from streams.records import Headers, RecordBatch

_NUMBER_BYTES = 5
_GUID_BYTES = 17
_NUMBER_MARK, _GUID_MARK = b"\0", b"\1"


@dataclass(frozen=True)
class SchemaGroup:
    """Records that were written with one schema.

    Attributes
    ----------
    identifier
        Number or GUID of the schema.
    start
        Where the event begins in each value.
    rows
        The records, increasing.
    """

    identifier: int | UUID
    start: int
    rows: Ints


def group_by_schema(
    records: RecordBatch, max_bytes: int, reject: Callable[[Ints, BadEventError], None]
) -> list[SchemaGroup]:
    """Group records by schema; those that name none, are empty or too large are rejected.

    Parameters
    ----------
    records
        The records.
    max_bytes
        Size limit of a value.
    reject
        Told of rows and why they are rejected.
    """
    rows_of: dict[tuple[bytes, bool], list[int]] = {}
    values = records.values
    in_headers = _header_marks(records.headers)
    for row, value in enumerate(values):
        mark = None if in_headers is None else in_headers[row]
        if value is None or not value or len(value) > max_bytes:
            try:
                checked_value(value, max_bytes)
            except BadEventError as bad:
                reject(np.array([row]), bad)
        elif mark is not None:
            rows_of.setdefault((mark, True), []).append(row)
        else:
            width = _GUID_BYTES if value.startswith(_GUID_MARK) else _NUMBER_BYTES
            rows_of.setdefault((value[:width], False), []).append(row)
    groups = []
    for (mark, in_header), members in rows_of.items():
        rows = np.array(members, dtype=np.int64)
        try:
            identifier = _identifier(mark, in_header=in_header)
        except BadEventError as bad:
            reject(rows, bad)
        else:
            groups.append(SchemaGroup(identifier, 0 if in_header else len(mark), rows))
    return groups


def _header_marks(headers: Sequence[Headers]) -> list[bytes | None] | None:
    """Return the schema header of each record; None when no record has any header."""
    if not any(headers):
        return None
    return [
        next((value for name, value in reversed(pairs) if name == names.VALUE_SCHEMA_ID), None)
        for pairs in headers
    ]


def _identifier(mark: bytes, *, in_header: bool) -> int | UUID:
    if mark.startswith(_NUMBER_MARK) and len(mark) == _NUMBER_BYTES:
        return int.from_bytes(mark[1:], "big")
    if mark.startswith(_GUID_MARK) and len(mark) == _GUID_BYTES:
        return UUID(bytes=mark[1:])
    where = f"The header {names.VALUE_SCHEMA_ID!r} is" if in_header else "The value begins with"
    raise BadEventError(
        RejectReason.UNDECODABLE,
        f"{where} {shown(mark)}, expected a 0 and the four bytes of a schema id, or a 1 and a GUID, as"
        " clients of a schema registry write them.",
    )
