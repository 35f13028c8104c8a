"""Numbers that stand in events as raw bytes, put into columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streams.codecs.columnar.cursors import Cursors, Ints
from streams.codecs.columnar.found import Found
from streams.codecs.columnar.wanted import NUMBER_FIELDS
from streams.codecs.packed_numbers import packed_dtype


def put_packed(cursors: Cursors, lengths: Ints, fields: Sequence[str], found: Found) -> None:
    """Take the next ``lengths`` bytes of each value for the little-endian numbers of ``fields``.

    Values of another length than most are doubted, and so are all if a field holds no numbers.
    """
    if not fields or not len(cursors):
        cursors.advance(lengths)
        return
    length = int(np.bincount(np.clip(lengths, 0, len(cursors.data))).argmax())
    cursors.doubt(lengths != length)
    taken = cursors.gather(length)
    for name in fields:
        dtype = packed_dtype(length, found.size(name)) if name in NUMBER_FIELDS else None
        if dtype is None:
            cursors.doubt()
        else:
            found.put_numbers(name, cursors.rows, taken.view(dtype))
