"""Open windows as bytes in Redis, a whole batch of them at a time.

What changes with every score stands in one small value a segment: the head, the offset range of each
partition in the pane that is being filled, and the latest scores. Examples and full panes, the details, are
a value of their own. All integers are little-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.errors import StateError
from streams.state.pane_columns import NOWHERE, PaneColumns, decoded_id
from streams.state.windows import Example, OpenWindow, Pane

HEAD = np.dtype(
    [
        ("sequence", "<u4"),
        ("count", "<u4"),
        ("ranges", "<u4"),
        ("filled", "<u4"),
        ("opened_ms", "<i8"),
        ("start_ms", "<i8"),
        ("end_ms", "<i8"),
    ]
)
"""Begins an open window; sequence and count, its first 8 bytes, are like those of no other state of it."""
RANGE = np.dtype([("partition", "<i4"), ("first", "<i8"), ("last", "<i8")])
"""Offsets in one partition, of which ``ranges`` follow the head; then come scores."""
EXAMPLE = np.dtype([("score", "<f4"), ("partition", "<i4"), ("offset", "<i8"), ("id", "<i4")])
"""An example in the details; ``id`` is the length of its id, which follows all examples, or -1 for none."""

_COUNTS = struct.Struct("<II")
_WORD = 4


def tokens(sequence: npt.NDArray[np.int64], count: npt.NDArray[np.int64]) -> bytes:
    """Return what tells states of windows apart, 8 bytes each."""
    return np.column_stack([sequence, count]).astype("<u4").tobytes()


def head_sizes(filling: PaneColumns) -> npt.NDArray[np.int64]:
    """Return how many bytes come before the scores of each open window, shape (n,)."""
    sizes: npt.NDArray[np.int64] = np.count_nonzero(filling.last != NOWHERE, axis=1) * RANGE.itemsize
    return sizes + HEAD.itemsize


def heads(
    sequence: npt.NDArray[np.int64],
    count: npt.NDArray[np.int64],
    opened_ms: npt.NDArray[np.int64],
    filling: PaneColumns,
    partitions: Sequence[int],
) -> bytes:
    """Return the heads and ranges of open windows, one after the other."""
    present = filling.last != NOWHERE
    window, column = np.nonzero(present)
    head = np.empty(len(count), HEAD)
    head["sequence"], head["count"], head["opened_ms"] = sequence, count, opened_ms
    head["ranges"], head["filled"] = np.count_nonzero(present, axis=1), filling.count
    head["start_ms"], head["end_ms"] = filling.start_ms, filling.end_ms
    ranges = np.empty(len(window), RANGE)
    ranges["partition"] = np.array(partitions, np.int32)[column]
    ranges["first"], ranges["last"] = filling.first[present], filling.last[present]

    sizes = head_sizes(filling) // _WORD
    ends = np.cumsum(sizes)
    words = np.empty(sizes.sum(), np.uint32)
    in_head, in_range = np.arange(HEAD.itemsize // _WORD), np.arange(RANGE.itemsize // _WORD)
    words[(ends - sizes)[:, None] + in_head] = head.view(np.uint32).reshape(-1, len(in_head))
    # All ranges before this one, of any window, and the heads up to its own.
    before = np.arange(len(window)) * len(in_range) + (window + 1) * len(in_head)
    words[before[:, None] + in_range] = ranges.view(np.uint32).reshape(-1, len(in_range))
    return words.tobytes()


def details(filling: PaneColumns, full: Mapping[int, Sequence[Pane]]) -> tuple[npt.NDArray[np.int64], bytes]:
    """Return the details of open windows, one after the other, and how many bytes each takes, shape (n,).

    ``full`` are the full panes of the rows that have any.
    """
    n, k = filling.scores.shape
    ids = filling.ids.ravel().tolist()
    encoded = {row: b"[" + b",".join(pane.encoded for pane in panes) + b"]" for row, panes in full.items()}
    fixed = np.zeros(n, [("k", "<u4"), ("panes", "<u4"), ("examples", EXAMPLE, (k,))])
    fixed["k"] = k
    for row, panes in encoded.items():
        fixed["panes"][row] = len(panes)
    examples = fixed["examples"]
    examples["score"], examples["partition"] = filling.scores, filling.partitions
    examples["offset"] = filling.offsets
    examples["id"] = np.array([-1 if i is None else len(i) for i in ids], np.int32).reshape(n, k)

    packed, width = fixed.tobytes(), fixed.itemsize
    texts = [i or b"" for i in ids]
    parts = []
    for row in range(n):
        parts.append(packed[row * width : (row + 1) * width])
        parts += texts[row * k : (row + 1) * k]
        parts.append(encoded.get(row, b""))
    text_sizes = np.maximum(examples["id"], 0).sum(axis=1, dtype=np.int64)
    return width + text_sizes + fixed["panes"], b"".join(parts)


def new_window(sequence: int) -> bytes:
    """Return a window that holds nothing yet."""
    return np.array((sequence, *[0] * 6), HEAD).tobytes()


def open_count(stored: bytes) -> int:
    """Read how many scores an open window holds.

    Raises
    ------
    StateError
        If it is too short.
    """
    return int(read_heads([stored])["count"][0])


def opened_ms(stored: bytes) -> int:
    """Read when the first score of its own came into an open window, as in ``OpenWindow``.

    Raises
    ------
    StateError
        If it is too short.
    """
    return int(read_heads([stored])["opened_ms"][0])


def read_heads(stored: Iterable[bytes]) -> npt.NDArray[Any]:
    """Read the heads of open windows, shape (n,).

    Raises
    ------
    StateError
        If one of them is too short.
    """
    windows = list(stored)
    for raw in windows:
        if len(raw) < HEAD.itemsize:
            raise _unreadable(raw)
    return np.frombuffer(b"".join(raw[: HEAD.itemsize] for raw in windows), HEAD)


def read_window(stored: bytes, described: bytes | None) -> OpenWindow:
    """Read an open window without its scores.

    Parameters
    ----------
    stored
        Its head, ranges and latest scores.
    described
        Its details; None when there are none.

    Raises
    ------
    StateError
        If they cannot have been written by ``heads`` and ``details``.
    """
    try:
        (head,) = np.frombuffer(stored, HEAD, 1).tolist()
        sequence, count, n_ranges, filled, opened, start_ms, end_ms = head
        ranges = np.frombuffer(stored, RANGE, n_ranges, HEAD.itemsize).tolist()
        examples, panes = ((), ()) if described is None else _read_details(described)
        if filled:
            offsets = {partition: (first, last) for partition, first, last in ranges}
            panes = (*panes, Pane(filled, start_ms, end_ms, offsets, examples))
    except (ValueError, TypeError, struct.error) as error:
        raise _unreadable(stored) from error
    window = OpenWindow(sequence, panes, opened)
    if not sequence or window.count != count:
        raise _unreadable(stored)
    return window


def scores_of(stored: bytes, earlier: bytes | None) -> bytes:
    """Return the packed scores of an open window, given the ones that are kept apart."""
    return (earlier or b"") + stored[
        HEAD.itemsize + RANGE.itemsize * int(read_heads([stored])["ranges"][0]) :
    ]


def _read_details(described: bytes) -> tuple[tuple[Example, ...], tuple[Pane, ...]]:
    k, panes = _COUNTS.unpack_from(described)
    at = _COUNTS.size + k * EXAMPLE.itemsize
    examples = []
    for score, partition, offset, length in np.frombuffer(described, EXAMPLE, k, _COUNTS.size).tolist():
        text = None if length < 0 else decoded_id(described[at : at + length])
        at += max(0, length)
        if score > -np.inf:
            examples.append(Example(score, text, partition, offset))
    full = json.loads(described[at : at + panes]) if panes else []
    return tuple(examples), tuple(Pane.from_json(pane) for pane in full)


def _unreadable(raw: bytes) -> StateError:
    return StateError(f"An open window in Redis cannot be read: {raw[:80]!r}.")
