"""Halves of recorded events that wait in memory for the other half; what `PairStore` is with Redis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.state.pair_store import (
    REQUEST,
    RETURNED,
    Answer,
    Half,
    Meeting,
    UnpairedHalf,
    other_half,
)

WAIT, AGAIN, LATE, COMPLETE = Answer("wait"), Answer("again"), Answer("late"), Answer("")


class MemoryPairs:
    """Where halves wait, for one reader of a finite stream; each waits to the end."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], Half] = {}
        self._second: dict[tuple[str, str], str] = {}
        self._alone: dict[tuple[str, str], str] = {}

    def bring(
        self, group: str, meetings: Sequence[Meeting], halves: Sequence[Half], wait_ms: int, keep_ms: int
    ) -> tuple[Mapping[int, tuple[Answer, Answer]], Mapping[int, Answer]]:
        """Bring halves, as to `PairStore.bring`; how long they wait is not looked at."""
        met = {}
        for number, (event, first, second) in enumerate(meetings):
            kind, place = first.split(" ")
            met[number] = (
                self._answer(group, Half(event, kind, place, b"")),
                self._answer(group, Half(event, other_half(kind), second, b"")),
            )
        alone = {number: self._answer(group, half) for number, half in enumerate(halves)}
        return (
            {number: answers for number, answers in met.items() if answers != (WAIT, COMPLETE)},
            {number: answer for number, answer in alone.items() if answer != WAIT},
        )

    def unpaired(self, group: str, settled: Sequence[str], keep_ms: int) -> list[UnpairedHalf]:
        """Find none, since all may still be paired until the end."""
        return []

    def _answer(self, group: str, half: Half) -> Answer:
        event = group, half.event
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
