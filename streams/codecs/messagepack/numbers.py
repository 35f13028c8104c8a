"""MessagePack numbers of all events at once: integers, arrays, and numbers packed into a binary."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from streams.codecs.columnar.cursors import Bytes, Cursors, Ints
from streams.codecs.messagepack.heads import FLOAT32, FLOAT64, KINDS, NUMBERS, Kind, read_heads
from streams.codecs.packed_numbers import packed_dtype

Matrix = npt.NDArray[np.generic]

_NO_NUMBER = 1
"""Stands for all codes that no number begins with, among the kinds of numbers; no number has this code."""
_SMALL = 0
"""Stands for all codes that are small integers themselves."""
_INT64_MAX = 2**63 - 1


def read_number_arrays(cursors: Cursors, shape: tuple[int, ...]) -> Matrix:
    """Read arrays, flat or of exactly ``shape``, or little-endian float32 or float64 in a binary.

    Returns
    -------
    ndarray
        Shape (m, product of ``shape``); worthless where doubted, which all other values are.
    """
    size = math.prod(shape)
    kinds = KINDS[cursors.bytes_here()]
    if (kinds == Kind.ARRAY).all():
        return _read_arrays(cursors, shape)
    numbers = np.zeros((len(cursors), size), dtype=np.float64)
    for kind, part in cursors.each_kind(kinds):
        if kind == Kind.ARRAY:
            numbers[kinds == kind] = _read_arrays(part, shape)
        elif kind in (Kind.BINARY, Kind.EXTENSION):
            numbers[kinds == kind] = _read_packed(part, size, type_bytes=int(kind == Kind.EXTENSION))
        else:
            part.doubt()
    return numbers


def read_integers(cursors: Cursors) -> Ints:
    """Read an integer at each position; those beyond 64 bits with sign are doubted."""
    codes = cursors.bytes_here()
    cursors.advance(1)
    integers: Ints = codes.view(np.int8).astype(np.int64)
    kinds = _number_kinds(codes)
    for kind, part in cursors.each_kind(kinds):
        if kind in NUMBERS:
            numbers = part.gather(NUMBERS[kind].itemsize).view(NUMBERS[kind])[:, 0]
            part.doubt(numbers > _INT64_MAX)
            integers[kinds == kind] = numbers.astype(np.int64)
    return integers


def _read_packed(cursors: Cursors, size: int, *, type_bytes: int) -> Matrix:
    lengths = read_heads(cursors).lengths
    cursors.advance(type_bytes)
    length = int(lengths[0])
    dtype = packed_dtype(length, size)
    # Producers write all their events alike; what differs from the first is read exactly.
    cursors.doubt((lengths != length) | (dtype is None))
    return np.zeros((len(cursors), size)) if dtype is None else cursors.gather(length).view(dtype)


def _read_arrays(cursors: Cursors, shape: tuple[int, ...]) -> Matrix:
    """Read arrays of numbers; nested ones if the first holds an array."""
    heads = read_heads(cursors)
    cursors.doubt(heads.kinds != Kind.ARRAY)
    if len(shape) > 1 and KINDS[cursors.bytes_here()[0]] == Kind.ARRAY:
        cursors.doubt(heads.lengths != shape[0])
        return np.concatenate([_read_arrays(cursors, shape[1:]) for _ in range(shape[0])], axis=1)
    size = math.prod(shape)
    cursors.doubt(heads.lengths != size)
    return _read_items(cursors, size)


def _read_items(cursors: Cursors, count: int) -> Matrix:
    """Read ``count`` numbers of each value: all floats of one width in one go, anything else one by one."""
    code = int(cursors.bytes_here()[0])
    if code in (FLOAT32, FLOAT64):
        dtype = NUMBERS[code]
        width = 1 + dtype.itemsize
        items = cursors.peek(count * width).reshape(len(cursors), count, width)
        if (items[:, :, 0] == code).all():
            cursors.advance(count * width)
            return np.ascontiguousarray(items[:, :, 1:]).view(dtype)[:, :, 0]
    return np.stack([_read_number(cursors) for _ in range(count)], axis=1)


def _read_number(cursors: Cursors) -> npt.NDArray[np.float64]:
    codes = cursors.bytes_here()
    cursors.advance(1)
    numbers = codes.view(np.int8).astype(np.float64)
    kinds = _number_kinds(codes)
    for kind, part in cursors.each_kind(kinds):
        if kind in NUMBERS:
            # A signalling NaN is no reason for a warning: the value is rejected for it.
            with np.errstate(invalid="ignore"):
                numbers[kinds == kind] = part.gather(NUMBERS[kind].itemsize).view(NUMBERS[kind])[:, 0]
        elif kind != _SMALL:
            part.doubt()
    return numbers


def _number_kinds(codes: Bytes) -> Bytes:
    """Return the code of each number, but one and the same for all that are integers themselves."""
    return _NUMBER_KINDS[codes]


_NUMBER_KINDS = np.full(256, _NO_NUMBER, dtype=np.uint8)
_NUMBER_KINDS[:0x80] = _NUMBER_KINDS[0xE0:] = _SMALL
_NUMBER_KINDS[list(NUMBERS)] = list(NUMBERS)
