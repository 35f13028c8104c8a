"""Halves of events that wait in Redis for the other half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from pydantic_core import to_json

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


def other_half(kind: str) -> str:
    """Name the other kind of half."""
    return RESPONSE if kind == REQUEST else REQUEST


class Halves(NamedTuple):
    """Halves of events, each alone in its batch; a column each, of the same length."""

    events: Sequence[str] = ()
    """Id that both halves of an event have."""
    kinds: Sequence[str] = ()
    """One of ``KINDS``, or ``RETURNED``."""
    places: Sequence[str] = ()
    """Where it came from: the same whenever it is delivered."""
    lengths: Sequence[int] = ()
    """Bytes of what is kept of it; not 0."""
    contents: bytes = b""
    """What is kept of all of them, one after another."""


class Meetings(NamedTuple):
    """Events of which both halves are in a batch; a column each, of the same length."""

    events: Sequence[str] = ()
    kinds: Sequence[str] = ()
    """Kind of the half that is first."""
    firsts: Sequence[str] = ()
    """Where that came from."""
    seconds: Sequence[str] = ()
    """Where the other came from."""


class Answer(NamedTuple):
    """What becomes of a half."""

    outcome: str
    """``wait``: kept until the other comes, or part of an event that the other completes; ``late``: the other
    has waited in vain; ``again``: the event has such a half already; empty: it completes the event."""
    other: bytes = b""
    """Content of the other half of a complete event; empty if that is in the batch, or will never come."""


class Answers(NamedTuple):
    """What becomes of halves, by number, where it is not what happens most."""

    of_meetings: Mapping[int, tuple[Answer, Answer]]
    """For both halves of meetings, unless the second one completes the event."""
    completing: Mapping[int, bytes]
    """Those halves that complete their event, with the ``other`` of their answer."""
    refused: Mapping[int, str]
    """The outcome of all other halves that do not wait."""


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
        meetings: Meetings,
        halves: Halves,
        wait_ms: int,
        keep_ms: int,
    ) -> Answers:
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

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; bring them again.
        """
        keys = [self._key(group, name) for name in ("waiting", "halves", "decided:", "unpaired")]
        starts = range(0, max(len(meetings.events), len(halves.events)), MOST_AT_ONCE)
        *described, contents = halves
        calls, used = [], 0
        for start in starts:
            # Few long arguments cost both sides much less than many short ones.
            told = [column[start : start + MOST_AT_ONCE] for column in (*meetings, *described)]
            size = sum(halves.lengths[start : start + MOST_AT_ONCE])
            args: list[str | bytes | int] = [wait_ms, keep_ms, to_json(told), contents[used : used + size]]
            calls.append(ScriptCall(PAIR, keys, args))
            used += size
        of_meetings: dict[int, tuple[Answer, Answer]] = {}
        completing: dict[int, bytes] = {}
        refused: dict[int, str] = {}
        for start, reply in zip(starts, self.connection.run(calls) if calls else (), strict=True):
            unusual, told_refused, numbers, lengths, joined = reply
            for at in range(0, len(unusual), 5):
                number, first, content, second, its_content = unusual[at : at + 5]
                pair = Answer(first.decode(), content), Answer(second.decode(), its_content)
                of_meetings[start + number] = pair
            for at in range(0, len(told_refused), 2):
                refused[start + told_refused[at]] = told_refused[at + 1].decode()
            contents, ends = b"".join(joined), [*accumulate(map(int, lengths.split()))]
            others = [contents[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
            completing.update(zip([start + int(number) for number in numbers.split()], others, strict=True))
        return Answers(of_meetings, completing, refused)

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
        keys = [self._key(group, name) for name in ("waiting", "halves", "decided:", "unpaired")]
        args: list[str | bytes | int] = [SETTLE_MS, keep_ms, MOST_AT_ONCE, *settled]
        (reply,) = self.connection.run([ScriptCall(UNPAIRED, keys, args)])
        names = [name.decode() for name in reply[::2]]
        found = []
        for name, content in zip(names, reply[1::2], strict=True):
            kind, place, event = name.split(" ", 2)
            found.append(UnpairedHalf(name, event, kind, place, content))
        return found

    def _key(self, group: str, name: str) -> str:
        return f"{self.prefix}:{{PAIRS:{group}}}:{name}"
