"""The tensors of the Open Inference Protocol: datatypes, and how many instances a shape holds.

Source: the protocol's REST specification, version 2, and its binary tensor data extension.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DATATYPES: Mapping[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
"""Datatypes that hold numbers, with their little-endian form in binary data; ``BYTES`` holds none."""

HEADER_LENGTH = "inference-header-content-length"
"""Header that tells how many bytes of the value are JSON when binary data follow, in lower case."""

BINARY_SIZE = b"binary_data_size"
"""Parameter of a tensor whose numbers follow the JSON: their size in bytes."""


def instances_in(shape: Sequence[Any], one: tuple[int, ...]) -> int | None:
    """Count the instances of shape ``one``, whole or flattened, in a tensor; None when it cannot hold any.

    ``shape`` is as JSON has it, where 1.0 is the number 1. A tensor holds one instance itself, or any
    number of them along an axis that comes first.

    >>> instances_in([2, 8, 8, 3], (8, 8, 3)), instances_in([4, 192], (8, 8, 3)), instances_in([30], (30,))
    (2, 4, 1)
    """
    flat = (math.prod(one),)
    lengths = tuple(shape)
    if lengths in (one, flat):
        return 1
    if lengths[1:] in (one, flat) and _is_count(lengths[0]):
        return int(lengths[0])
    return None


def _is_count(length: Any) -> bool:
    return isinstance(length, (int, float)) and length > 0 and length % 1 == 0
