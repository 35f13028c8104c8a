"""Halves of recorded events that wait in memory for the other half; what `PairStore` is with Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.state.pair_store import (
    REQUEST,
    RETURNED,
    Answer,
    Answers,
    Halves,
    Meetings,
    UnpairedHalf,
    other_half,
)

WAIT, AGAIN, LATE, COMPLETE = Answer("wait"), Answer("again"), Answer("late"), Answer("")


class _Half(NamedTuple):
    kind: str
    place: str
    content: bytes = b""


class MemoryPairs:
    """Where halves wait, for one reader of a finite stream; each waits to the end."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], _Half] = {}
        self._second: dict[tuple[str, str], str] = {}
        self._alone: dict[tuple[str, str], str] = {}

    def bring(
        self,
        group: str,
        meetings: Meetings,
        halves: Halves,
        wait_ms: int,
        keep_ms: int,
    ) -> Answers:
        """Bring halves, as to `PairStore.bring`; how long they wait is not looked at."""
        met = {}
        for number, (event, kind, first, second) in enumerate(zip(*meetings, strict=True)):
            answers = (
                self._answer((group, event), _Half(kind, first)),
                self._answer((group, event), _Half(other_half(kind), second)),
            )
            if answers != (WAIT, COMPLETE):
                met[number] = answers
        *described, contents = halves
        alone, end = [], 0
        for event, kind, place, length in zip(*described, strict=True):
            end += length
            half = _Half(kind, place, contents[end - length : end])
            alone.append(self._answer((group, event), half))
        return Answers(
            met,
            {number: answer.other for number, answer in enumerate(alone) if not answer.outcome},
            {number: answer.outcome for number, answer in enumerate(alone) if answer in (AGAIN, LATE)},
        )

    def unpaired(self, group: str, settled: Sequence[str], keep_ms: int) -> list[UnpairedHalf]:
        """Find none, since all may still be paired until the end."""
        return []

    def _answer(self, event: tuple[str, str], half: _Half) -> Answer:
        if half.kind == RETURNED:
            half = half._replace(kind=REQUEST)
            first = self._first.setdefault(event, half)
            if first.kind == REQUEST and event in self._second:
                return AGAIN
            if first.kind == REQUEST:
                return COMPLETE if self._alone.setdefault(event, half.place) == half.place else AGAIN
        first = self._first.setdefault(event, half)
        if first.place == half.place:
            return WAIT
        if event in self._alone and first.kind != half.kind:
            return LATE
        if first.kind == half.kind or self._second.setdefault(event, half.place) != half.place:
            return AGAIN
        return Answer("", first.content)
