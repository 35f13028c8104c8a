"""Sliding windows as merges of consecutive panes, each made from the one before."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Sequence

from streams.state.windows import Example, Pane


def slide(panes: Sequence[Pane], width: int, examples: int) -> Iterator[tuple[Pane, dict[int, int]]]:
    """Merge every ``width`` consecutive panes into a window.

    Parameters
    ----------
    panes
        Panes of equal count.
    width
        Panes in a window.
    examples
        Most examples of a window.

    Yields
    ------
    tuple
        A window as ``Pane.merged`` describes it, and the first offset by partition that its panes but the
        oldest hold.
    """
    if width == 1:
        for pane in panes:
            yield pane, {}
    elif len(panes) >= width:
        held = _HeldPanes()
        for pane in panes[: width - 1]:
            held.enter(pane)
        for oldest, newest in zip(panes, panes[width - 1 :], strict=False):
            held.enter(newest)
            window = held.merged(width * newest.count, examples)
            held.leave(oldest)
            yield window, held.first_offsets()


class _HeldPanes:
    """What is known of the panes of a window, in order, so that one that enters or leaves costs little."""

    def __init__(self) -> None:
        self._entered = self._left = 0
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._offsets: dict[int, deque[tuple[int, int]]] = {}
        self._ranked: list[tuple[float, int, int, Example]] = []

    def enter(self, pane: Pane) -> None:
        insort(self._starts, pane.start_ms)
        insort(self._ends, pane.end_ms)
        for partition, range_ in pane.offsets.items():
            self._offsets.setdefault(partition, deque()).append(range_)
        for rank, example in enumerate(pane.examples):
            insort(self._ranked, (-example.score, self._entered, rank, example))
        self._entered += 1

    def leave(self, pane: Pane) -> None:
        del self._starts[bisect_left(self._starts, pane.start_ms)]
        del self._ends[bisect_left(self._ends, pane.end_ms)]
        for partition in pane.offsets:
            self._offsets[partition].popleft()
            if not self._offsets[partition]:
                del self._offsets[partition]
        for rank, example in enumerate(pane.examples):
            del self._ranked[bisect_left(self._ranked, (-example.score, self._left, rank, example))]
        self._left += 1

    def merged(self, count: int, examples: int) -> Pane:
        return Pane(
            count,
            self._starts[0],
            self._ends[-1],
            {partition: (held[0][0], held[-1][1]) for partition, held in self._offsets.items()},
            tuple([example for *_, example in self._ranked[:examples]]),
        )

    def first_offsets(self) -> dict[int, int]:
        return {partition: held[0][0] for partition, held in self._offsets.items()}
