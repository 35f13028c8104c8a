"""Avro's integers of variable length, one of each of many values at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.codecs.columnar.cursors import Cursors, Ints

LONGEST_VARINT = 10
"""Bytes of the longest 64-bit integer."""


def read_longs(cursors: Cursors) -> Ints:
    """Read an ``int`` or ``long`` at each position, shape (m,), and move behind them.

    Notes
    -----
    Seven bits a byte, lowest first, the eighth says that more follow; zigzag puts the sign into the lowest
    bit (Avro specification, "Primitive Types"). Values with more than ten bytes are doubted.
    """
    codes = cursors.bytes_here()
    cursors.advance(1)
    if not (codes & 0x80).any():
        # Nearly all lengths, counts and branches take one byte.
        return _signed(codes.astype(np.uint64))
    total = (codes & 0x7F).astype(np.uint64)
    longer = codes >= 0x80
    for index in range(1, LONGEST_VARINT):
        codes = cursors.bytes_here()
        cursors.advance(longer.astype(np.int64))
        shifted = (codes & 0x7F).astype(np.uint64) << np.uint64(7 * index)
        total = np.where(longer, total | shifted, total)
        longer &= codes >= 0x80
        if not longer.any():
            return _signed(total)
    cursors.doubt(longer)
    return _signed(total)


def _signed(total: npt.NDArray[np.uint64]) -> Ints:
    longs: Ints = (total >> np.uint64(1)).astype(np.int64) ^ -(total & np.uint64(1)).astype(np.int64)
    return longs
