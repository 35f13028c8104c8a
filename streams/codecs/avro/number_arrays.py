"""Avro arrays of numbers, flat or nested, taken out of all events at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.codecs.avro.kinds import kind_of, resolved
from streams.codecs.avro.varints import read_longs
from streams.codecs.columnar.cursors import Cursors, Ints

_FLOATS: dict[str, np.dtype[np.generic]] = {"float": np.dtype("<f4"), "double": np.dtype("<f8")}
_INTEGERS = frozenset({"int", "long"})


@dataclass(frozen=True)
class NumberArray:
    """An array of numbers, or of arrays of them.

    Attributes
    ----------
    kind
        Type of the numbers.
    depth
        How many arrays are within each other.
    """

    kind: str
    depth: int

    @classmethod
    def of(cls, schema: Any, named: dict[str, Any]) -> NumberArray | None:
        """Describe a schema; None if it is no such array."""
        depth = 0
        while kind_of(schema, named) == "array":
            schema, depth = resolved(schema, named)["items"], depth + 1
        kind = kind_of(schema, named)
        return cls(kind, depth) if depth and (kind in _FLOATS or kind in _INTEGERS) else None

    def read(self, cursors: Cursors, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        """Read arrays, flat or of exactly ``shape``, into rows of numbers; any other is doubted.

        Returns
        -------
        ndarray
            Shape (m, product of ``shape``); worthless where doubted.
        """
        size = math.prod(shape)
        if self.depth not in (1, len(shape)):
            cursors.doubt()
            return np.zeros((len(cursors), size), dtype=np.float32)
        return self._read_level(cursors, (size,) if self.depth == 1 else shape)

    def _read_level(self, cursors: Cursors, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
        cursors.doubt(read_block_counts(cursors) != shape[0])
        if len(shape) > 1:
            items = [self._read_level(cursors, shape[1:]) for _ in range(shape[0])]
            numbers = np.concatenate(items, axis=1)
        elif self.kind in _FLOATS:
            dtype = _FLOATS[self.kind]
            numbers = cursors.gather(shape[0] * dtype.itemsize).view(dtype)
        else:
            numbers = np.stack([read_longs(cursors) for _ in range(shape[0])], axis=1)
        # Numbers in several blocks are as good, but rare enough to be left to the exact reader.
        cursors.doubt(cursors.bytes_here() != 0)
        cursors.advance(1)
        return numbers


def read_block_counts(cursors: Cursors) -> Ints:
    """Read how many items follow in a block, shape (m,), and move to the first of them.

    Notes
    -----
    A negative count is followed by the block's size in bytes (Avro specification, "Arrays").
    """
    counts = read_longs(cursors)
    sized = counts < 0
    if sized.any():
        part = cursors.subset(sized)
        read_longs(part)
        cursors.take_back(sized, part)
        counts = np.abs(counts)
    return counts
