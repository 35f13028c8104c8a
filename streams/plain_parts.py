"""What ``streams.record_parts`` does, in Python, for where that could not be compiled."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from streams.records import Headers


def header_columns(headers: list[Headers], names: tuple[str, ...]) -> list[list[bytes | None]]:
    """Return what n records have in headers of some names; the last of several of a name counts.

    Parameters
    ----------
    headers
        Headers of the records, length n.
    names
        Names of the wanted ones.

    Returns
    -------
    list of list
        A column for each name, length n; None where a record has no such header, or it has no content.
    """
    told = [*map(dict, headers)]
    return [[of_record.get(name) for of_record in told] for name in names]


def places(partitions: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> list[str]:
    """Return where n records stand, such as ``3:17``."""
    return list(map("%d:%d".__mod__, zip(partitions.tolist(), offsets.tolist(), strict=True)))


def packed(
    keys: list[bytes | None],
    headers: list[Headers],
    values: list[bytes],
    head_of: Callable[[tuple[str, ...]], bytes],
) -> tuple[list[int], bytes]:
    """Return n records as bytes: of each how many, and all of them.

    ``head_of`` gives what a record with headers of certain names begins with.
    """
    known_head = cache(head_of)
    records = []
    for key, told, value in zip(keys, headers, values, strict=True):
        kept = [key, *(content for _, content in told)]
        lengths = struct.pack(f"<{len(kept)}i", *[-1 if part is None else len(part) for part in kept])
        head = known_head(tuple(name for name, _ in told))
        records.append(b"".join([head, lengths, *(part or b"" for part in kept), value]))
    return [*map(len, records)], b"".join(records)


def unpacked(
    contents: list[bytes], names: tuple[str, ...], names_of: Callable[[bytes], Sequence[str]]
) -> tuple[list[list[bytes | None]], list[bytes]]:
    """Return headers of these names, a list for each, and the values of packed records.

    ``names_of`` reads the names of headers in what a record begins with.

    Raises
    ------
    ValueError
        If one is no packed record.
    """
    records = [unpacked_one(content, names_of) for content in contents]
    return header_columns([headers for _, headers, _ in records], names), [value for _, _, value in records]


def unpacked_one(
    content: bytes, names_of: Callable[[bytes], Sequence[str]]
) -> tuple[bytes | None, Headers, bytes]:
    """Return the key, the headers and the value of a packed record.

    Raises
    ------
    ValueError
        If it is none.
    """
    start = content.index(b"\n") + 1
    names = names_of(content[:start])
    described = f"<{1 + len(names)}i"
    parts: list[bytes | None] = []
    at = start + struct.calcsize(described)
    if at <= len(content):
        for length in struct.unpack_from(described, content, start):
            parts.append(None if length < 0 else content[at : at + length])
            at += max(0, length)
    if at > len(content):
        raise ValueError(f"{content[:80]!r} is no packed record.")
    return parts[0], list(zip(names, parts[1:], strict=True)), content[at:]
