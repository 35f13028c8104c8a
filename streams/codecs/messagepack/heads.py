"""What the first byte of a MessagePack value says, one of each of many values at once.

Source of all codes: the MessagePack specification, "Formats".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from streams.codecs.columnar.cursors import Bytes, Cursors, Ints

NIL = 0xC0
FLOAT32, FLOAT64 = 0xCA, 0xCB

NUMBERS: dict[int, np.dtype[np.generic]] = {
    FLOAT32: np.dtype(">f4"),
    FLOAT64: np.dtype(">f8"),
    0xCC: np.dtype(">u1"),
    0xCD: np.dtype(">u2"),
    0xCE: np.dtype(">u4"),
    0xCF: np.dtype(">u8"),
    0xD0: np.dtype(">i1"),
    0xD1: np.dtype(">i2"),
    0xD2: np.dtype(">i4"),
    0xD3: np.dtype(">i8"),
}
"""Types of the numbers that stand behind their code; the smallest integers are codes themselves."""


class Kind(IntEnum):
    """Kinds of values."""

    OTHER = 0
    """Nil, truth values and floats."""
    INTEGER = 1
    TEXT = 2
    BINARY = 3
    EXTENSION = 4
    ARRAY = 5
    MAP = 6


def _table(**ranges: int) -> Bytes:
    """Fill a table of all codes from ranges such as ``x80_8f=1``."""
    table = np.zeros(256, dtype=np.uint8)
    for name, entry in ranges.items():
        first, _, last = name.removeprefix("x").partition("_")
        table[int(first, 16) : int(last or first, 16) + 1] = entry
    return table


KINDS = _table(
    x00_7f=Kind.INTEGER,
    x80_8f=Kind.MAP,
    x90_9f=Kind.ARRAY,
    xa0_bf=Kind.TEXT,
    xc4_c6=Kind.BINARY,
    xc7_c9=Kind.EXTENSION,
    xcc_d3=Kind.INTEGER,
    xd4_d8=Kind.EXTENSION,
    xd9_db=Kind.TEXT,
    xdc_dd=Kind.ARRAY,
    xde_df=Kind.MAP,
    xe0_ff=Kind.INTEGER,
)
"""Kind by code."""

_LENGTH_BYTES = _table(
    xc4=1, xc5=2, xc6=4, xc7=1, xc8=2, xc9=4, xd9=1, xda=2, xdb=4, xdc=2, xdd=4, xde=2, xdf=4
)
"""How many bytes of a length follow the code."""
_LENGTH_BITS = _table(x80_9f=0x0F, xa0_bf=0x1F)
"""Which bits of the code are a length."""
_EXTENSION_BYTES = _table(xd4=1, xd5=2, xd6=4, xd7=8, xd8=16)
"""Bytes of an extension of fixed size, without its type."""
_NUMBER_BYTES = _table(**{f"x{code:02x}": dtype.itemsize for code, dtype in NUMBERS.items()})
"""Bytes of a number behind its code."""
_UNUSED = 0xC1


@dataclass(frozen=True)
class Heads:
    """What stands at the beginning of m values.

    Attributes
    ----------
    codes
        First bytes, shape (m,).
    lengths
        Bytes of texts, binaries and extensions without their type, items of arrays, pairs of maps; else 0.
    """

    codes: Bytes
    lengths: Ints

    @property
    def kinds(self) -> Bytes:
        """``Kind`` of each, shape (m,)."""
        return KINDS[self.codes]


def read_heads(cursors: Cursors) -> Heads:
    """Read the code of each value and its length, if it has one, and move behind them."""
    codes = cursors.bytes_here()
    cursors.advance(1)
    cursors.doubt(codes == _UNUSED)
    lengths = ((codes & _LENGTH_BITS[codes]) | _EXTENSION_BYTES[codes]).astype(np.int64)
    length_bytes = _LENGTH_BYTES[codes]
    for index in range(int(length_bytes.max(initial=0))):
        longer = length_bytes > index
        lengths = np.where(longer, lengths << 8 | cursors.bytes_here(), lengths)
        cursors.advance(longer.astype(np.int64))
    return Heads(codes, lengths)


def skip_values(cursors: Cursors) -> None:
    """Move behind the value at each position, with all that is in it."""
    pending = np.ones(len(cursors), dtype=np.int64)
    while (going_on := (pending > 0) & cursors.good).any():
        part = cursors.subset(going_on)
        heads = read_heads(part)
        kinds = heads.kinds
        content = np.where(kinds < Kind.ARRAY, heads.lengths, 0) + _NUMBER_BYTES[heads.codes]
        part.advance(content + (kinds == Kind.EXTENSION))
        values_within = np.where(kinds == Kind.ARRAY, 1, np.where(kinds == Kind.MAP, 2, 0)) * heads.lengths
        pending[going_on] += values_within - 1
        cursors.take_back(going_on, part)
