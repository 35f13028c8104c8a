"""A writer's schema compiled to parts, each of which is read of all events at once.

Reading a part moves the cursors behind it and puts what is wanted of it into the columns. Events in which a
part is not what it nearly always is (numbers in several blocks, too few of them, a null) are doubted, to be
read exactly afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from streams.codecs.avro.kinds import LOGICAL_TYPE, UNITS_PER_MS, kind_of, resolved
from streams.codecs.avro.number_arrays import NumberArray, read_block_counts
from streams.codecs.avro.varints import read_longs
from streams.codecs.columnar.cursors import Cursors
from streams.codecs.columnar.found import Found
from streams.codecs.columnar.packed import put_packed
from streams.codecs.columnar.wanted import NOTHING, NUMBER_FIELDS, Wanted

Step: TypeAlias = Callable[[Cursors, Found], None]

_FIXED_BYTES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class UnusualSchemaError(Exception):
    """Events of this schema are all read exactly."""


@dataclass(frozen=True)
class Part:
    """How to read one part of an event.

    Attributes
    ----------
    read
        Reads it.
    least_bytes
        How many bytes it takes at least.
    """

    read: Step
    least_bytes: int


class Plan:
    """Reads events of one schema.

    Parameters
    ----------
    schema
        Parsed schema of a record.
    named
        Definitions that it refers to, by name.
    wanted
        The fields.
    shapes
        Shapes of the fields that hold numbers, by name.

    Raises
    ------
    UnusualSchemaError
        If the schema contains itself, or arrays of items that take no bytes.
    """

    def __init__(
        self, schema: Any, named: dict[str, Any], wanted: Wanted, shapes: dict[str, tuple[int, ...]]
    ) -> None:
        self._named = named
        self._shapes = shapes
        self._around: list[int] = []
        self.read = self._part(schema, wanted).read
        """Reads the events at the cursors into columns."""

    def _part(self, schema: Any, wanted: Wanted) -> Part:
        schema = resolved(schema, self._named)
        kind = kind_of(schema, self._named)
        if kind == "union":
            return self._union(schema, wanted)
        if kind == "record":
            part = self._record(schema, wanted)
            return part if not wanted.fields else _doubted(part)
        if wanted.below:
            # Something that is no record stands on the way to a field.
            return _doubted(self._part(schema, NOTHING))
        if kind == "array":
            return self._array(schema, wanted)
        if kind == "map":
            part = _blocks(_in_order([Part(_skip_bytes, 1), self._part(schema["values"], NOTHING)]))
            return part if not wanted.fields else _doubted(part)
        return _leaf(kind, schema, wanted)

    def _record(self, schema: Any, wanted: Wanted) -> Part:
        if id(schema) in self._around:
            raise UnusualSchemaError
        self._around.append(id(schema))
        parts = [self._part(one["type"], wanted.below.get(one["name"], NOTHING)) for one in schema["fields"]]
        self._around.pop()
        return _in_order(parts)

    def _union(self, schema: list[Any], wanted: Wanted) -> Part:
        # A null where something is wanted puts nothing into the columns, which is what an absent field does.
        branches = [
            self._part(branch, NOTHING if kind_of(branch, self._named) == "null" else wanted).read
            for branch in schema
        ]

        def read(cursors: Cursors, found: Found) -> None:
            chosen = read_longs(cursors)
            known = (chosen >= 0) & (chosen < len(branches))
            cursors.doubt(~known)
            for index, part in cursors.each_kind(np.where(known, chosen, 0)):
                branches[index](part, found)

        return Part(read, 1)

    def _array(self, schema: Any, wanted: Wanted) -> Part:
        if not wanted.fields:
            return _blocks(self._part(schema["items"], NOTHING))
        array = NumberArray.of(schema, self._named)
        if array is None or not NUMBER_FIELDS.issuperset(wanted.fields):
            return _doubted(self._array(schema, NOTHING))
        # Only one shape can be right, so a second field at the same place is left to the exact reader.
        name, *others = wanted.fields
        shape = self._shapes[name]

        def read(cursors: Cursors, found: Found) -> None:
            numbers = array.read(cursors, shape)
            cursors.doubt(bool(others))
            found.put_numbers(name, cursors.rows, numbers)

        return Part(read, 1)


def _in_order(parts: list[Part]) -> Part:
    steps = [part.read for part in parts]

    def read(cursors: Cursors, found: Found) -> None:
        for step in steps:
            step(cursors, found)

    return Part(read, sum(part.least_bytes for part in parts))


def _doubted(part: Part) -> Part:
    def read(cursors: Cursors, found: Found) -> None:
        part.read(cursors, found)
        cursors.doubt()

    return Part(read, part.least_bytes)


def _blocks(item: Part) -> Part:
    """Read an array or a map: blocks of items, each with their count, until a count is zero."""
    if item.least_bytes == 0:
        # A few bytes could announce any number of items, and reading them would take forever.
        raise UnusualSchemaError

    def read(cursors: Cursors, found: Found) -> None:
        remaining = read_block_counts(cursors)
        while (going_on := (remaining > 0) & cursors.good).any():
            part = cursors.subset(going_on)
            item.read(part, found)
            left = remaining[going_on] - 1
            ended = left == 0
            if ended.any():
                at_end = part.subset(ended)
                left[ended] = read_block_counts(at_end)
                part.take_back(ended, at_end)
            remaining[going_on] = left
            cursors.take_back(going_on, part)

    return Part(read, 1)


def _leaf(kind: str, schema: Any, wanted: Wanted) -> Part:
    if kind in _FIXED_BYTES:
        part = _fixed(_FIXED_BYTES[kind])
        return _doubted(part) if wanted.fields else part
    if kind in ("int", "long"):
        return Part(_integers(schema, wanted), 1)
    if kind == "enum":
        return Part(_symbols(schema["symbols"], wanted), 1)
    if kind == "string":
        return Part(_texts(wanted), 1)
    if kind == "fixed":
        return Part(_packed(wanted, size=schema["size"]), schema["size"])
    return Part(_packed(wanted, size=None), 1)


def _fixed(size: int) -> Part:
    return Part(lambda cursors, _: cursors.advance(size), size)


def _skip_bytes(cursors: Cursors, _: Found) -> None:
    cursors.advance(read_longs(cursors))


def _integers(schema: Any, wanted: Wanted) -> Step:
    units = UNITS_PER_MS.get(schema.get(LOGICAL_TYPE, ""), 1) if isinstance(schema, dict) else 1

    def read(cursors: Cursors, found: Found) -> None:
        integers = read_longs(cursors)
        for name in wanted.fields:
            if name in NUMBER_FIELDS:
                cursors.doubt()
            else:
                found.put_integers(name, cursors.rows, integers // units if name == "time" else integers)

    return read


def _symbols(symbols: list[str], wanted: Wanted) -> Step:
    def read(cursors: Cursors, found: Found) -> None:
        chosen = read_longs(cursors)
        cursors.doubt((chosen < 0) | (chosen >= len(symbols)))
        for name in wanted.fields:
            if name in NUMBER_FIELDS:
                cursors.doubt()
            else:
                indices = np.where(cursors.good, chosen, 0).tolist()
                found.put_texts(name, cursors.rows, [symbols[index] for index in indices])

    return read


def _texts(wanted: Wanted) -> Step:
    def read(cursors: Cursors, found: Found) -> None:
        lengths = read_longs(cursors)
        if not wanted.fields:
            cursors.advance(lengths)
            return
        texts = cursors.texts(lengths)
        for name in wanted.fields:
            if name in NUMBER_FIELDS:
                cursors.doubt()
            else:
                found.put_texts(name, cursors.rows, texts)

    return read


def _packed(wanted: Wanted, size: int | None) -> Step:
    """Read ``bytes``, or ``fixed`` of a size."""

    def read(cursors: Cursors, found: Found) -> None:
        lengths = read_longs(cursors) if size is None else np.full(len(cursors), size, dtype=np.int64)
        put_packed(cursors, lengths, wanted.fields, found)

    return read
