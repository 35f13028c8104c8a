"""Halves of events that wait in Redis for the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streams.state.redis_connection import RedisConnection, ScriptCall, load_script

PAIR = load_script("pair")


class Half(NamedTuple):
    """One half of an event."""

    event: str
    """Id that both halves have."""
    kind: str
    """Which half it is."""
    place: str
    """Where it came from: the same whenever it is delivered."""
    content: bytes


class Answer(NamedTuple):
    """What becomes of a half."""

    outcome: str
    """``wait``: kept until the other comes; ``late``: the other has waited in vain; ``again``: the event has
    such a half already; empty: complete."""
    other: bytes
    """Content of the other half of a complete event."""


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
        self, group: str, halves: Sequence[Half], wait_ms: int, keep_ms: int
    ) -> tuple[list[Answer], list[str]]:
        """Bring halves; a half that is brought again within ``keep_ms`` gets the same answer again.

        Parameters
        ----------
        group
            Halves of one group find each other.
        halves
            The halves.
        wait_ms
            How long a half waits, in milliseconds.
        keep_ms
            How long it is remembered what became of an event, in milliseconds.

        Returns
        -------
        answers
            One for each half.
        lost
            Kind and place of halves that have waited in vain.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; bring them again.
        """
        tag = f"{self.prefix}:{{PAIRS:{group}}}"
        keys = [f"{tag}:waiting", f"{tag}:unpaired"]
        args: list[str | bytes | int] = [wait_ms, keep_ms]
        for half in halves:
            keys.append(f"{tag}:event:{half.event}")
            args += [half.kind, half.place, half.content]
        answers, lost = self.connection.run([ScriptCall(PAIR, keys, args)])[0]
        return [Answer(outcome.decode(), other) for outcome, other in answers], [one.decode() for one in lost]
