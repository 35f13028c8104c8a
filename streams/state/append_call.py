"""The wire form of ``lua/append.lua``: what a batch does to a monitor's windows, as one script call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import isqrt
from typing import NamedTuple

import numpy as np

from streams.state import window_bytes
from streams.state.batches import Planned
from streams.state.open_windows import OpenWindows
from streams.state.redis_connection import ScriptCall, load_script
from streams.state.redis_keys import MonitorKeys
from streams.state.windows import SCORE_DTYPE

APPEND = load_script("append")

DEPENDENCY = np.dtype([("segment", "<u4"), ("sequence", "<u4"), ("set", "<u4"), ("offset", "<f8")])
"""One dependency; offsets are doubles in a sorted set anyway."""
LEAST_BESIDE = 32
"""Scores that may stand beside an open window however small windows are."""


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
    window_size: int,
    advances: Sequence[Advance],
    windows: OpenWindows,
    planned: Planned,
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
    window_size
        Scores in a full window.
    advances
        Partitions of the batch.
    windows
        The open windows that the batch finds.
    planned
        What the batch does.
    """
    plan = planned.plan
    partitions = [advance.partition for advance in advances]
    partitions += sorted({dependency.partition for dependency in plan.dependencies}.difference(partitions))
    number = {partition: i for i, partition in enumerate(partitions, start=1)}
    dependencies = np.array(
        [(segment, sequence, number[p], first) for segment, sequence, p, first in plan.dependencies],
        DEPENDENCY,
    )
    dependencies["segment"] += 1

    names = [segment.encode() for segment in plan.segments]
    retold = np.flatnonzero(plan.retold)
    full = {row: plan.full[place] for row, place in enumerate(retold.tolist()) if place in plan.full}
    details_sizes = np.zeros(len(names), np.int64)
    details_sizes[retold], details = window_bytes.details(plan.filling.take(retold), full)
    layout = np.column_stack(
        [
            np.array([len(name) for name in names], np.int64),
            window_bytes.head_sizes(windows.filling.take(plan.rows)),
            window_bytes.head_sizes(plan.filling),
            details_sizes,
            np.diff(plan.bounds) * SCORE_DTYPE.itemsize,
            np.bincount([closing.segment for closing in plan.closings], minlength=len(names)),
        ]
    )
    args: list[str | bytes | int] = [
        epoch,
        lease_ms,
        max(LEAST_BESIDE, isqrt(window_size)) * SCORE_DTYPE.itemsize,
        len(advances),
        len(partitions),
        layout.astype("<u4").tobytes(),
        b"".join(names),
        window_bytes.tokens(plan.before[:, 0], plan.before[:, 1]),
        window_bytes.heads(plan.sequence, plan.count, plan.opened_ms, plan.filling, plan.partitions),
        details,
        plan.scores.tobytes(),
        dependencies.tobytes(),
    ]
    for partition, before, after in advances:
        args += [partition, "" if before is None else before, after]
    taken = dict.fromkeys(range(len(names)), 0)
    for segment, sequence, stop, *_, kept, _ in plan.closings:
        args += [sequence, (stop - taken[segment]) * SCORE_DTYPE.itemsize, kept * SCORE_DTYPE.itemsize]
        taken[segment] = stop
    args += [closing.encode() for closing in plan.closings]
    args += chain.from_iterable(planned.rejected.items())
    shared = [keys.progress, keys.open, keys.details, keys.scores]
    shared += [keys.closed, keys.leases, keys.alerts, keys.reference]
    depends = [keys.depends(partition) for partition in partitions]
    return ScriptCall(APPEND, [*shared, *depends, keys.rejected], args)
