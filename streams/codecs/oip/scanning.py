"""Tensors of the Open Inference Protocol read from simdjson's documents, without a Python object a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from streams.codecs.json.fields import UnusualEventError
from streams.codecs.oip.tensors import BINARY_SIZE, DATATYPES, instances_in

FLOAT64 = np.dtype(np.float64)
_MOST_SHAPES = 256
"""How many shapes are remembered; a producer of random ones must not fill the memory."""


class TensorScanner:
    """Takes the numbers of one tensor out of a parsed list of tensors.

    Parameters
    ----------
    name
        Name of the tensor; None where there is to be only one.
    one
        Shape of what the tensor holds one or several of.
    """

    def __init__(self, name: str | None, one: tuple[int, ...]) -> None:
        self._name = name
        self._one = one
        self._size = math.prod(one)
        self._last: tuple[list[Any], int] = [], 0

    def read(self, tensors: Any, binary: bytes | None, start: int) -> tuple[int, Any, np.dtype[Any], int]:
        """Read the tensor.

        Parameters
        ----------
        tensors
            The list of tensors, as simdjson has parsed it.
        binary
            What follows the JSON; None for nothing.
        start
            Where in it the numbers of this tensor begin.

        Returns
        -------
        count
            Number of instances.
        numbers
            Buffer of numbers.
        dtype
            What they are.
        stop
            Where in ``binary`` the numbers end.
        """
        tensor = tensors[0] if len(tensors) == 1 else self._named(tensors)
        name = tensor[b"name"]
        if name != self._name and self._name is not None:
            raise UnusualEventError
        dtype = DATATYPES[tensor[b"datatype"]]
        shape = tensor[b"shape"].as_list()
        count = self._last[1] if shape == self._last[0] else self._count(shape)
        if binary is None:
            numbers = tensor[b"data"].as_buffer(of_type="d")
            if numbers.size != count * self._size * FLOAT64.itemsize:
                raise UnusualEventError
            # Parameters are of no interest, but five keys could be four and one of them twice.
            if len(tensor) != 4 and (len(tensor) != 5 or tensor[b"parameters"] is None):
                raise UnusualEventError
            return count, numbers, FLOAT64, 0
        stop = start + count * self._size * dtype.itemsize
        if len(tensor) != 4 or tensor[b"parameters"][BINARY_SIZE] != stop - start or stop > len(binary):
            raise UnusualEventError
        return count, binary[start:stop], dtype, stop

    def _named(self, tensors: Any) -> Any:
        names = [tensor[b"name"] for tensor in tensors]
        if names.count(self._name) != 1:
            raise UnusualEventError
        return tensors[names.index(self._name)]

    def _count(self, shape: list[Any]) -> int:
        count = instances_in(shape, self._one)
        if count is None:
            raise UnusualEventError
        self._last = shape, count
        return count


class KnownNestings:
    """Remembers how events look from which only structure is left, once they are known to be well nested.

    Without a backslash a quote begins or ends a string, so that two texts of the same structure have their
    arrays at the same places.
    """

    _REST = bytes(code for code in range(256) if code not in b'[]{},:"')

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def knows(self, text: bytes) -> bool:
        """Tell whether an event is nested as one that was learnt."""
        return b"\\" not in text and text.translate(None, self._REST) in self._known

    def learn(self, text: bytes) -> None:
        """Remember the nesting of an event that is right."""
        if len(self._known) >= _MOST_SHAPES:
            self._known.clear()
        self._known.add(text.translate(None, self._REST))
