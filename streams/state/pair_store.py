"""Halves of events that wait in Redis for the other half."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.state.redis_connection import RedisConnection, ScriptCall, load_script

PAIR = load_script("pair")
UNPAIRED = load_script("unpaired")

REQUEST, RESPONSE = KINDS = ("request", "response")
"""Kinds of halves."""

RETURNED = "returned"
"""Kind of a request that no response came for, sent again to be scored without one: a copy that counts."""

MOST_AT_ONCE = 1000
"""Halves or pairs a script call: Redis does nothing else meanwhile, for a few milliseconds."""

SETTLE_MS = 60_000
"""How long a worker may take to deliver what it sends of unpaired halves; then another takes over."""

HELD_MS = 7 * 86_400_000
"""How long a half is kept, beyond the time that it waits, while there is no worker to give it up: as long as
Kafka keeps records by default."""


def other_half(kind: str) -> str:
    """Name the other kind of half."""
    return RESPONSE if kind == REQUEST else REQUEST


class Half(NamedTuple):
    """One half of an event, alone in its batch."""

    event: str
    """Id that both halves have."""
    kind: str
    """One of ``KINDS``, or ``RETURNED``."""
    place: str
    """Where it came from: the same whenever it is delivered."""
    content: bytes
    """What is kept of it; not empty."""


class Meeting(NamedTuple):
    """Both halves of an event in one batch."""

    event: str
    first: str
    """Kind of the half that is first, and where it came from: ``"<kind> <place>"``."""
    second: str
    """Where the other came from."""


class Answer(NamedTuple):
    """What becomes of a half."""

    outcome: str
    """``wait``: kept until the other comes, or part of an event that the other completes; ``late``: the other
    has waited in vain; ``again``: the event has such a half already; empty: it completes the event."""
    other: bytes = b""
    """Content of the other half of a complete event; empty if that is in the batch, or will never come."""


class UnpairedHalf(NamedTuple):
    """A half that has waited in vain."""

    name: str
    """What ``PairStore.unpaired`` is told when it is settled."""
    event: str
    kind: str
    place: str
    content: bytes
    """What was kept of it; empty if it is no longer known."""


@dataclass(frozen=True)
class PairStore:
    """Where halves wait.

    Attributes
    ----------
    connection
        Where Redis is.
    prefix
        What Redis keys start with.
    """

    connection: RedisConnection
    prefix: str

    def bring(
        self,
        group: str,
        meetings: Sequence[Meeting],
        halves: Sequence[Half],
        wait_ms: int,
        keep_ms: int,
    ) -> tuple[Mapping[int, tuple[Answer, Answer]], Mapping[int, Answer]]:
        """Bring halves, in one round trip; one brought again within ``keep_ms`` gets the same answer again.

        Parameters
        ----------
        group
            Halves of one group find each other.
        meetings
            Events of which both halves are in hand; no two of one event.
        halves
            Other halves; none of an event of ``meetings``, unless it is ``RETURNED``.
        wait_ms
            How long a half waits, in milliseconds.
        keep_ms
            How long it is remembered what became of an event, in milliseconds.

        Returns
        -------
        of_meetings
            Answers for both halves of those meetings, by number, whose second half does not complete the
            event.
        of_halves
            Answers for those of ``halves``, by number, that do not wait.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; bring them again.
        """
        keys = [self._key(group, name) for name in ("waiting", "event:", "unpaired")]
        starts = range(0, max(len(meetings), len(halves)), MOST_AT_ONCE)
        calls = []
        for start in starts:
            met, alone = meetings[start : start + MOST_AT_ONCE], halves[start : start + MOST_AT_ONCE]
            of_met = [part for event, first, by in met for part in (event, f"{first} {by}\n")]
            described = [of_met, [part for half in alone for part in half[:3]]]
            args: list[str | bytes | int] = [
                wait_ms,
                keep_ms,
                HELD_MS,
                *map(json.dumps, described),
                *(half.content for half in alone),
            ]
            calls.append(ScriptCall(PAIR, keys, args))
        of_meetings: dict[int, tuple[Answer, Answer]] = {}
        of_halves: dict[int, Answer] = {}
        for start, (unusual, answers) in zip(
            starts, self.connection.run(calls) if calls else (), strict=True
        ):
            for at in range(0, len(unusual), 5):
                number, first, content, second, its_content = unusual[at : at + 5]
                pair = Answer(first.decode(), content), Answer(second.decode(), its_content)
                of_meetings[start + number] = pair
            for at in range(0, len(answers), 3):
                number, outcome, content = answers[at : at + 3]
                of_halves[start + number] = Answer(outcome.decode(), content)
        return of_meetings, of_halves

    def unpaired(self, group: str, settled: Sequence[str], keep_ms: int) -> list[UnpairedHalf]:
        """Settle halves that had waited in vain, and find others.

        Parameters
        ----------
        group
            Group of the halves.
        settled
            Names of halves found before; they are counted and never found again. What is not settled within
            ``SETTLE_MS`` is found again, by whoever asks first.
        keep_ms
            How long it is remembered, in milliseconds, that a half was given up.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; ask again.
        """
        keys = [self._key(group, name) for name in ("waiting", "unpaired", "event:")]
        args: list[str | bytes | int] = [SETTLE_MS, keep_ms, HELD_MS, MOST_AT_ONCE, *settled]
        (reply,) = self.connection.run([ScriptCall(UNPAIRED, keys, args)])
        names = [name.decode() for name in reply[::2]]
        found = []
        for name, content in zip(names, reply[1::2], strict=True):
            kind, place, event = name.split(" ", 2)
            found.append(UnpairedHalf(name, event, kind, place, content))
        return found

    def _key(self, group: str, name: str) -> str:
        return f"{self.prefix}:{{PAIRS:{group}}}:{name}"
