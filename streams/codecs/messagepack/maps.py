"""MessagePack maps, read one key of all events at once."""

from __future__ import annotations

import numpy as np

from streams.codecs.columnar.cursors import Bools, Cursors, Ints
from streams.codecs.columnar.found import Found
from streams.codecs.columnar.wanted import NUMBER_FIELDS, Wanted
from streams.codecs.messagepack.heads import KINDS, NIL, Kind, read_heads, skip_values
from streams.codecs.messagepack.numbers import read_integers, read_number_arrays

MOST_KEYS = 16
"""How many different keys may stand at the same place of a batch's events before the rest is read exactly."""


def read_maps(cursors: Cursors, wanted: Wanted, shapes: dict[str, tuple[int, ...]], found: Found) -> None:
    """Read a map at each position and put what is wanted of it into columns.

    Parameters
    ----------
    cursors
        Where the maps begin; what is no map, or repeats a key that is wanted, is doubted.
    wanted
        Fields by key.
    shapes
        Shapes of the fields that hold numbers, by name.
    found
        The columns.
    """
    _Maps(wanted, shapes, found).read(cursors)


class _Maps:
    def __init__(self, wanted: Wanted, shapes: dict[str, tuple[int, ...]], found: Found) -> None:
        self._wanted = wanted
        self._shapes = shapes
        self._found = found
        self._seen: dict[str, Bools] = {}

    def read(self, cursors: Cursors) -> None:
        heads = read_heads(cursors)
        cursors.doubt(heads.kinds != Kind.MAP)
        self._seen = {key: np.zeros(len(cursors), dtype=np.bool_) for key in self._wanted.below}
        at = np.arange(len(cursors))
        index = 0
        while (going_on := (heads.lengths > index) & cursors.good).any():
            part = cursors if going_on.all() else cursors.subset(going_on)
            self._read_pairs(part, at[going_on])
            if part is not cursors:
                cursors.take_back(going_on, part)
            index += 1

    def _read_pairs(self, cursors: Cursors, at: Ints) -> None:
        """Read the next key and value of each map, those of one key at once."""
        left = np.ones(len(cursors), dtype=np.bool_)
        for _ in range(MOST_KEYS):
            part = cursors if left.all() else cursors.subset(left)
            key = _first_key(part)
            if key is None:
                break
            chosen = left.copy()
            chosen[left] = (part.peek(len(key)) == np.frombuffer(key, np.uint8)).all(axis=1)
            alike = cursors if chosen.all() else cursors.subset(chosen)
            alike.advance(len(key))
            self._read_values(alike, at[chosen], _text_of(key))
            if alike is not cursors:
                cursors.take_back(chosen, alike)
            left &= ~chosen
            if not left.any():
                return
        cursors.doubt(left)

    def _read_values(self, cursors: Cursors, at: Ints, key: str | None) -> None:
        if key is None or key not in self._seen:
            skip_values(cursors)
            return
        cursors.doubt(self._seen[key][at])
        self._seen[key][at] = True
        for is_nil, part in cursors.each_kind((cursors.bytes_here() == NIL).astype(np.int64)):
            if is_nil:
                # A nil where something is wanted is what an absent field is.
                part.advance(1)
            else:
                self._read_wanted(part, self._wanted.below[key])

    def _read_wanted(self, cursors: Cursors, wanted: Wanted) -> None:
        if wanted.below:
            cursors.doubt(bool(wanted.fields))
            read_maps(cursors, wanted, self._shapes, self._found)
            return
        # A value that is the numbers of one field is nothing that another could be.
        name, *others = wanted.fields
        if name in NUMBER_FIELDS:
            numbers = read_number_arrays(cursors, self._shapes[name])
            cursors.doubt(bool(others))
            self._found.put_numbers(name, cursors.rows, numbers)
            return
        for kind, part in cursors.each_kind(KINDS[cursors.bytes_here()]):
            if kind == Kind.TEXT:
                texts = part.texts(read_heads(part).lengths)
                for field in wanted.fields:
                    self._found.put_texts(field, part.rows, texts)
            elif kind == Kind.INTEGER:
                integers = read_integers(part)
                for field in wanted.fields:
                    self._found.put_integers(field, part.rows, integers)
            else:
                part.doubt()


def _first_key(cursors: Cursors) -> bytes | None:
    """Return the key at the first position as it is encoded; None if it is no text."""
    first = cursors.subset(np.arange(len(cursors)) == 0)
    start = int(first.at[0])
    heads = read_heads(first)
    first.advance(heads.lengths)
    is_text = int(heads.kinds[0]) == Kind.TEXT and bool(first.good[0])
    return cursors.blob[start : int(first.at[0])] if is_text else None


def _text_of(key: bytes) -> str | None:
    """Decode an encoded key; None if it is not UTF-8."""
    single = Cursors.over([key], np.zeros(1, dtype=np.int64))
    return single.texts(read_heads(single).lengths)[0]
