"""Numbers that stand in an event as raw bytes instead of one by one."""

from __future__ import annotations

import numpy as np

PACKED_DTYPES: tuple[np.dtype[np.generic], ...] = (np.dtype("<f4"), np.dtype("<f8"))
"""What packed numbers may be; how many bytes there are for a number tells which."""


def packed_dtype(n_bytes: int, count: int) -> np.dtype[np.generic] | None:
    """Return the type of ``count`` numbers in so many bytes; None when none fits."""
    return next((dtype for dtype in PACKED_DTYPES if dtype.itemsize * count == n_bytes), None)
