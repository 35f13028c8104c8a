"""The wire form of ``lua/append.lua``: what a batch does to a monitor's windows, as one script call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from streams.state.redis_connection import ScriptCall, load_script
from streams.state.redis_keys import MonitorKeys
from streams.state.windows import SCORE_DTYPE, Filling, OpenWindow, first_offsets

APPEND = load_script("append")

Planned: TypeAlias = dict[str, tuple[OpenWindow, Filling]]
"""By segment: the open window as last seen, and what the batch makes of it."""


class Advance(NamedTuple):
    """How far a batch brings one partition."""

    partition: int
    expected: int | None
    """Next offset not yet counted, as last seen; None when nothing of the partition was counted."""
    next: int
    """Next offset not yet counted, afterwards."""


def append_call(
    keys: MonitorKeys,
    epoch: bytes,
    lease_ms: int,
    advances: Sequence[Advance],
    planned: Planned,
    expected: Mapping[str, str],
    payloads: Mapping[str, bytes],
) -> ScriptCall:
    """Encode one batch.

    Parameters
    ----------
    keys
        Names of the monitor's keys.
    epoch
        Id of the data set that the caller's beliefs are about.
    lease_ms
        How long closed windows are left to the caller, in milliseconds.
    advances
        Partitions of the batch.
    planned
        What happens in each segment.
    expected
        Token of the stored open window by segment; empty where there should be none.
    payloads
        Packed scores of the batch by segment.
    """
    dependencies = {segment: _new_dependencies(*plan) for segment, plan in planned.items()}
    partitions = [advance.partition for advance in advances]
    needed = {partition for found in dependencies.values() for _, partition, _ in found}
    partitions += sorted(needed.difference(partitions))
    index = {partition: i for i, partition in enumerate(partitions, start=1)}

    args: list[str | bytes | int] = [epoch, lease_ms, len(advances), len(partitions), len(planned)]
    for partition, before, after in advances:
        args += [partition, "" if before is None else before, after]
    for segment, (_, filling) in planned.items():
        payload = payloads.get(segment, b"")
        args += [segment, expected[segment], filling.window.encode(), len(dependencies[segment])]
        for sequence, partition, offset in dependencies[segment]:
            args += [sequence, index[partition], offset]
        args.append(len(filling.closings))
        for closing in filling.closings:
            args += [
                closing.sequence,
                _packed(payload, closing.rows),
                closing.encode(),
                closing.kept * SCORE_DTYPE.itemsize,
            ]
        args.append(_packed(payload, filling.rest))
    names = [keys.progress, keys.open, keys.closed, keys.leases, keys.alerts, keys.reference]
    names += [keys.depends(partition) for partition in partitions]
    names += [keys.scores(segment) for segment in planned]
    return ScriptCall(APPEND, names, args)


def _packed(payload: bytes, rows: slice) -> bytes:
    return payload[rows.start * SCORE_DTYPE.itemsize : rows.stop * SCORE_DTYPE.itemsize]


def _new_dependencies(before: OpenWindow, filling: Filling) -> list[tuple[int, int, int]]:
    """List (sequence, partition, first offset) for all that windows hold now and did not hold before."""
    known = first_offsets(before.panes)
    held = [(closing.sequence, closing.pane.offsets) for closing in filling.closings]
    found = [(sequence, p, first) for sequence, offsets in held for p, (first, _) in offsets.items()]
    found += [(filling.window.sequence, p, first) for p, first in first_offsets(filling.window.panes).items()]
    return [entry for entry in found if entry[0] != before.sequence or entry[1] not in known]
