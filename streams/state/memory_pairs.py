"""Halves of recorded events that wait in memory for the other half; what `PairStore` is with Redis."""

from __future__ import annotations

from collections.abc import Sequence

from streams.state.pair_store import Answer, Half

WAIT, AGAIN = Answer("wait", b""), Answer("again", b"")


class MemoryPairs:
    """Where halves wait, for one reader of a finite stream; each waits to the end."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], Half] = {}
        self._second: dict[tuple[str, str], str] = {}

    def bring(
        self, group: str, halves: Sequence[Half], wait_ms: int, keep_ms: int
    ) -> tuple[list[Answer], list[str]]:
        """Bring halves, as to `PairStore.bring`; how long they wait is not looked at."""
        return [self._answer((group, half.event), half) for half in halves], []

    def _answer(self, event: tuple[str, str], half: Half) -> Answer:
        first = self._first.setdefault(event, half)
        if first.place == half.place:
            return WAIT
        if first.kind == half.kind or self._second.setdefault(event, half.place) != half.place:
            return AGAIN
        # What has been handed out is not needed again.
        self._first[event] = first._replace(content=b"")
        return Answer("", first.content)
