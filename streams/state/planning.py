"""What a batch of scores does to the open windows of a monitor, worked out for all segments at once.

Rows are sorted by segment and cut where panes fill up. Every such run is described as a row of columns; the
first run of a segment is merged with the pane that its window was filling, the last one is what the window
fills from then on. Python objects are made of those panes only that became full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.state.open_windows import OpenWindows
from streams.state.pane_columns import NEVER, NO_EXAMPLE, PaneColumns, Rows, describe
from streams.state.sliding import slide
from streams.state.windows import SCORE_DTYPE, Pane, ScoredRows, WindowPolicy, first_offsets


class Closing(NamedTuple):
    """One window that a plan closes."""

    segment: int
    """Place of its segment in the plan."""
    sequence: int
    stop: int
    """How many of the plan's scores of this segment are in it or in windows before it."""
    pane: Pane
    kept: int
    """Scores that stay for the next window."""
    frontier: Mapping[int, int]
    """First offset by partition that windows after it may hold."""

    def encode(self) -> bytes:
        """Return the description kept in Redis beside the scores."""
        frontier = ",".join([f'"{partition}":{offset}' for partition, offset in self.frontier.items()])
        return b"[%b,{%b}]" % (self.pane.encoded, frontier.encode())


class Dependency(NamedTuple):
    """A window's first offset of a partition of which it held nothing before."""

    segment: int
    sequence: int
    partition: int
    offset: int


@dataclass
class Plan:
    """What becomes of open windows; every array has a row for each of the ``s`` segments.

    Attributes
    ----------
    segments
        Segments, in the order in which the batch names them.
    rows
        Their rows among the open windows.
    before
        Sequence and count that the plan starts from, int64, shape (s, 2); zeros where nothing was known.
    sequence, count, opened_ms, filling
        The open windows afterwards, as in ``OpenWindows``.
    full
        Full panes afterwards, by place, of the windows that have any.
    retold
        Whose examples or full panes change, bool.
    closings
        Windows that are closed, in order within each segment.
    scores
        Packed scores of all segments, one segment after the other.
    bounds
        First score of each segment, and the number of scores, shape (s + 1,).
    dependencies
        What windows hold now and did not hold before.
    partitions
        Which partition each column of ``filling`` is.
    """

    segments: Sequence[str]
    rows: Rows
    before: npt.NDArray[np.int64]
    sequence: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    opened_ms: npt.NDArray[np.int64]
    filling: PaneColumns
    full: dict[int, tuple[Pane, ...]]
    retold: npt.NDArray[np.bool_]
    closings: list[Closing]
    scores: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int64]
    dependencies: list[Dependency]
    partitions: Sequence[int]

    def carry_out(self, windows: OpenWindows) -> None:
        """Make the open windows what they are after the plan."""
        windows.sequence[self.rows] = self.sequence
        windows.count[self.rows] = self.count
        windows.opened_ms[self.rows] = self.opened_ms
        windows.filling.put(self.rows, self.filling)
        for row in self.rows[self.retold].tolist() if windows.full else ():
            windows.full.pop(row, None)
        for place, panes in self.full.items():
            windows.full[int(self.rows[place])] = panes


def plan_rows(
    windows: OpenWindows,
    policy: WindowPolicy,
    rows: ScoredRows,
    segments: Sequence[str],
    now_ms: int,
) -> Plan:
    """Work out how rows fill, slide and close windows.

    Parameters
    ----------
    windows
        The open windows as last seen; they learn the names of new segments and partitions, and nothing else.
    policy
        When windows close.
    rows
        The rows, in the order consumed.
    segments
        Segment of each row; a single one stands for all.
    now_ms
        Wall-clock time, milliseconds since 1970.
    """
    names, of_row = _numbered(segments, len(rows.scores))
    rows = rows.take(np.argsort(of_row, kind="stable")) if len(names) > 1 else rows
    places = windows.rows(names)
    columns = windows.columns(rows.partitions)
    before = windows.filling.take(places)
    sizes = np.bincount(of_row, minlength=len(names))
    bounds = np.concatenate([[0], np.cumsum(sizes)])

    in_pane = np.arange(bounds[-1]) + np.repeat(before.count - bounds[:-1], sizes)
    begins = in_pane % policy.hop == 0
    begins[bounds[:-1]] = True
    starts = np.flatnonzero(begins)
    first_run = np.searchsorted(starts, bounds[:-1])
    last_run = np.searchsorted(starts, bounds[1:]) - 1
    floors = np.full(len(starts), NO_EXAMPLE, np.float32)
    if policy.examples:
        floors[first_run] = before.scores[:, -1]
    runs = describe(rows, starts, columns, len(windows.partitions), floors, policy.examples)
    retold = runs.scores[first_run, 0] > NO_EXAMPLE if policy.examples else np.zeros(len(names), np.bool_)
    runs.merge_earlier(first_run, before)

    filling = runs.take(last_run)
    filling.clear(filling.count == policy.hop)
    sequence = np.maximum(windows.sequence[places], 1)
    plan = Plan(
        segments=names,
        rows=places,
        before=np.column_stack([windows.sequence[places], windows.count[places]]),
        sequence=sequence,
        count=windows.count[places] + sizes,
        opened_ms=np.where(windows.opened_ms[places] == 0, now_ms, windows.opened_ms[places]),
        filling=filling,
        full=_full_panes(windows, places),
        retold=retold,
        closings=[],
        scores=rows.scores.astype(SCORE_DTYPE, copy=False),
        bounds=bounds,
        dependencies=[],
        partitions=windows.partitions,
    )
    full = dict(plan.full)
    complete = np.flatnonzero(runs.count == policy.hop)
    if len(complete):
        _complete_panes(plan, policy, runs.take(complete), complete, starts, first_run, bounds, now_ms)
    _find_dependencies(plan, before, full)
    return plan


def plan_aged(windows: OpenWindows, policy: WindowPolicy, segments: Sequence[str]) -> Plan:
    """Close the windows of some segments as they are."""
    places = windows.rows(segments)
    filling = windows.filling.take(places)
    full = _full_panes(windows, places)
    none = np.zeros(len(places), np.int64)
    closings = []
    for place, pane in enumerate(filling.panes(windows.partitions)):
        panes = [*full.get(place, ()), *([pane] if pane.count else [])]
        closed = Pane.merged(panes, policy.examples)
        closings.append(Closing(place, int(windows.sequence[places[place]]), 0, closed, 0, _after(closed)))
    filling.clear(filling.count > 0)
    return Plan(
        segments=segments,
        rows=places,
        before=np.column_stack([windows.sequence[places], windows.count[places]]),
        sequence=windows.sequence[places] + 1,
        count=none,
        opened_ms=none,
        filling=filling,
        full={},
        retold=np.ones(len(places), np.bool_),
        closings=closings,
        scores=np.empty(0, SCORE_DTYPE),
        bounds=np.zeros(len(places) + 1, np.int64),
        dependencies=[],
        partitions=windows.partitions,
    )


def due_for_age(
    policy: WindowPolicy, count: npt.NDArray[np.integer], opened_ms: npt.NDArray[np.int64], now_ms: int
) -> npt.NDArray[np.bool_]:
    """Tell which windows are old enough to close partial and hold enough, as a mask of shape (n,)."""
    if policy.max_age_ms is None:
        return np.zeros(len(count), np.bool_)
    # A window that was opened long after now was opened before the clock was set back.
    old_enough = (opened_ms > 0) & (np.abs(now_ms - opened_ms) >= policy.max_age_ms)
    return old_enough & (count >= policy.min_size)


def _complete_panes(
    plan: Plan,
    policy: WindowPolicy,
    complete: PaneColumns,
    runs: Rows,
    starts: Rows,
    first_run: Rows,
    bounds: npt.NDArray[np.int64],
    now_ms: int,
) -> None:
    """Add panes that became full to their windows, and close those that are full then."""
    of_pane = np.searchsorted(first_run, runs, side="right") - 1
    stops = (np.append(starts, bounds[-1])[runs + 1] - bounds[of_pane]).tolist()
    panes = complete.panes(plan.partitions)
    cuts = np.flatnonzero(np.diff(of_pane, prepend=-1))
    width, kept = policy.size // policy.hop, policy.size - policy.hop
    for place, first, end in zip(
        of_pane[cuts].tolist(), cuts.tolist(), [*cuts[1:].tolist(), len(panes)], strict=True
    ):
        earlier = plan.full.pop(place, ())
        held = (*earlier, *panes[first:end])
        plan.retold[place] = True
        sequence, stop = int(plan.sequence[place]), 0
        closing_panes = range(first + width - 1 - len(earlier), end)
        for at, (closed, left) in zip(closing_panes, slide(held, width, policy.examples), strict=True):
            stop = stops[at]
            frontier = {**_after(closed), **left}
            plan.closings.append(Closing(place, sequence, stop, closed, kept, frontier))
            sequence += 1
        if closing_panes:
            plan.sequence[place] = sequence
            plan.count[place] -= policy.hop * len(closing_panes)
            plan.opened_ms[place] = now_ms if stop < bounds[place + 1] - bounds[place] else 0
        if len(closing_panes) < len(held):
            plan.full[place] = held[len(closing_panes) :]


def _find_dependencies(plan: Plan, filling: PaneColumns, full: Mapping[int, Sequence[Pane]]) -> None:
    """List what windows hold now and did not hold before, when they had these panes."""
    column = {partition: i for i, partition in enumerate(plan.partitions)}
    unchanged = plan.sequence == np.maximum(plan.before[:, 0], 1)

    def held(place: int, partition: int) -> bool:
        return partition in first_offsets(full.get(place, ())) or (
            partition in column and filling.first[place, column[partition]] != NEVER
        )

    found = [
        Dependency(closing.segment, closing.sequence, partition, first)
        for closing in plan.closings
        for partition, (first, _) in closing.pane.offsets.items()
        if closing.sequence > plan.before[closing.segment, 0] or not held(closing.segment, partition)
    ]
    for place, panes in plan.full.items():
        if panes is not full.get(place):
            found += [
                Dependency(place, int(plan.sequence[place]), partition, first)
                for partition, first in first_offsets(panes).items()
                if not (unchanged[place] and held(place, partition))
            ]
    new = (plan.filling.first != NEVER) & ~((filling.first != NEVER) & unchanged[:, None])
    firsts = plan.filling.first[new].tolist()
    for (place, at), first in zip(np.argwhere(new).tolist(), firsts, strict=True):
        partition = plan.partitions[at]
        if partition not in first_offsets(plan.full.get(place, ())):
            found.append(Dependency(place, int(plan.sequence[place]), partition, first))
    plan.dependencies = found


def _full_panes(windows: OpenWindows, rows: Rows) -> dict[int, tuple[Pane, ...]]:
    if not windows.full:
        return {}
    full = ((place, windows.full.get(row)) for place, row in enumerate(rows.tolist()))
    return {place: panes for place, panes in full if panes}


def _after(closed: Pane) -> dict[int, int]:
    return {partition: last + 1 for partition, (_, last) in closed.offsets.items()}


def _numbered(segments: Sequence[str], total: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Number segments in the order in which they first appear."""
    if not total:
        return [], np.empty(0, np.int64)
    if len(segments) == 1:
        return list(segments), np.zeros(total, np.int64)
    names = list(dict.fromkeys(segments))
    number = {name: i for i, name in enumerate(names)}
    of_row = np.fromiter(map(number.__getitem__, segments), np.int64, total)
    return names, of_row
