"""Which halves of a batch are of one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from streams.codecs.pairs.half_events import HalfColumns


@dataclass
class MetHalves:
    """What becomes of the halves of a batch, by row."""

    met: list[tuple[int, int]]
    """The first half of an event, and the first of the other kind."""
    alone: Sequence[int]
    """Halves of other events, and requests that were sent again."""
    waiting: list[int]


def meet(halves: HalfColumns) -> MetHalves:
    """Find those halves that are of one event."""
    kinds, first_of = halves.kinds, dict[str, int]()
    met = [
        (first, row)
        for row, first in enumerate(map(first_of.setdefault, halves.events, count()))
        if first < row
    ]
    firsts = {first for first, _ in met}
    kinds_differ = all(kinds[first] != kinds[row] for first, row in met)
    if halves.returned or "" in first_of or len(firsts) < len(met) or not kinds_differ:
        return _met_one_by_one(halves)
    alone = [row for row in first_of.values() if row not in firsts] if len(firsts) < len(first_of) else []
    return MetHalves(met, alone, [])


def _met_one_by_one(halves: HalfColumns) -> MetHalves:
    """Find them where not all records hold halves, or some are copies."""
    kinds, first_of, returned = halves.kinds, dict[str, int](), set(halves.returned)
    met: dict[str, tuple[int, int]] = {}
    copies = []
    for row, event in enumerate(halves.events):
        if not event or row in returned:
            continue
        if event not in first_of:
            first_of[event] = row
        elif event in met or kinds[first_of[event]] == kinds[row]:
            copies.append(row)
        else:
            met[event] = first_of[event], row
    alone = [row for event, row in first_of.items() if event not in met]
    alone += [row for row in halves.returned if halves.events[row]]
    return MetHalves(list(met.values()), alone, copies)
