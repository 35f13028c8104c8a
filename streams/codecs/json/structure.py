"""Whether arrays have the right nesting, told without a Python object for each of them.

simdjson flattens nested arrays into one buffer, so the count of numbers says nothing of their shape: a
channels-first image and a ragged array may have the right count. The text settles nearly all cases. Without
its letters, digits and blanks only structure remains, and there, *if every* ``[`` *directly follows a* ``:``,
*every array of the event is the flat value of some key*. An array of exactly the expected nesting may be cut
out before. Brackets within strings can spoil the proof but never forge it: what holds no quote cannot reach
from inside a string to its outside.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from simdjson import Array

_STRUCTURE = b'[]{},:"'
_JOINED_VALUES = 256
"""How many values are looked at together: many more take several times longer, as the memory for their joint
text is then fetched from the system each time (measured with values of 400 bytes)."""
_REST = bytes(code for code in range(256) if code not in _STRUCTURE)


class ArrayStructure:
    """The nesting that an instance must have: flat, or exactly ``shape``."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._size = math.prod(shape)
        nested = b""
        for length in reversed(shape):
            nested = b"[" + b",".join([nested] * length) + b"]"
        self._opening = b":" + b"[" * len(shape)
        self._nested = b":" + nested

    def is_evident(self, values: list[bytes]) -> bool:
        """Tell whether the text of valid JSON objects proves all their arrays to be flat or of the shape."""
        if len(self._shape) > 1:
            return all(map(self._is_evident_in, values))
        for start in range(0, len(values), _JOINED_VALUES):
            text = b"".join(values[start : start + _JOINED_VALUES])
            if not _all_follow_colon(text) and not self._is_evident_in(text):
                return False
        return True

    def holds(self, found: Any) -> bool:
        """Tell by a walk through it whether what was parsed is an array, flat or of the shape."""
        if type(found) is not Array or len(found) == 0:
            return False
        return self._is_nested(found, self._shape) or (
            len(self._shape) > 1 and self._is_nested(found, (self._size,))
        )

    def _is_evident_in(self, value: bytes) -> bool:
        structure = value.translate(None, _REST)
        start = structure.find(self._opening)
        if start >= 0 and structure.startswith(self._nested, start):
            structure = structure[:start] + structure[start + len(self._nested) :]
        return structure.count(b"[") == structure.count(b":[")

    def _is_nested(self, found: Any, shape: tuple[int, ...]) -> bool:
        if type(found) is not Array or len(found) != shape[0]:
            return False
        if len(shape) == 1:
            return all(type(item) is not Array for item in found)
        return all(self._is_nested(item, shape[1:]) for item in found)


def _all_follow_colon(text: bytes) -> bool:
    """Tell it from the text as it is, which suffices for what the usual encoders write."""
    codes = np.frombuffer(text, dtype=np.uint8)
    brackets = np.flatnonzero(codes == ord("["))
    before = codes[brackets - 1]
    after_blank = before == ord(" ")
    if after_blank.any():
        before[after_blank] = codes[brackets[after_blank] - 2]
    return bool((before == ord(":")).all())
