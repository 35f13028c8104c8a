"""How the data set of a monitor begins, and how it is dropped for one with windows of another shape."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from streams.errors import StateError
from streams.state.redis_connection import RedisConnection, ScriptCall, load_script
from streams.state.redis_keys import MonitorKeys
from streams.state.window_bytes import new_window, read_heads
from streams.state.windows import WindowPolicy

FOUND = load_script("found")
RESET = load_script("reset")


class Shape(NamedTuple):
    """What of a policy cannot change while windows are open."""

    size: int
    hop: int

    @classmethod
    def of(cls, policy: WindowPolicy) -> Shape:
        """Return the shape of a policy's windows."""
        return cls(policy.size, policy.hop)

    @classmethod
    def decode(cls, raw: bytes) -> Shape:
        """Read what ``encode`` wrote."""
        size, hop = raw.split()
        return cls(int(size), int(hop))

    def encode(self) -> bytes:
        """Return the form kept in Redis."""
        return b"%d %d" % self

    def __str__(self) -> str:
        return f"windows of {self.size}" + ("" if self.hop == self.size else f" that slide by {self.hop}")


class OtherWindowsError(StateError):
    """Redis holds windows of a monitor that have another shape."""

    def __init__(self, monitor: str, stored: Shape, wanted: Shape) -> None:
        super().__init__(f"Redis holds {stored} of monitor {monitor!r}, which cannot become {wanted}.")
        self.stored = stored
        self.wanted = wanted


@dataclass(frozen=True)
class Foundation:
    """What is known of a segment from elsewhere when Redis holds nothing.

    Attributes
    ----------
    sequence
        Number of its last settled window.
    standing
        Where it stood after that window, as ``Settlement.standing`` was.
    frontier
        First offset, by partition, that windows after it may hold.
    """

    sequence: int
    standing: bytes
    frontier: Mapping[int, int]


class Holding(NamedTuple):
    """What a data set holds that is not settled."""

    shape: Shape | None
    """Shape of its windows; None when Redis holds nothing."""
    open: int
    """Open windows with scores in them."""
    scores: int
    """Scores in them."""
    closed: int
    """Closed windows without a settled verdict."""


def found(
    connection: RedisConnection, keys: MonitorKeys, shape: Shape, known: Mapping[str, Foundation]
) -> None:
    """Begin a data set, unless there is one."""
    connection.run([ScriptCall(FOUND, _keys(keys), _arguments(shape, known))])


def holding(connection: RedisConnection, keys: MonitorKeys) -> Holding:
    """Look what a data set holds."""
    with connection.client() as client:
        shape: Any = client.get(keys.shape)
        windows: Any = client.hgetall(keys.open)
        closed: Any = client.hgetall(keys.closed)
    counts = read_heads(windows.values())["count"]
    return Holding(
        None if shape is None else Shape.decode(shape),
        int((counts > 0).sum()),
        int(counts.sum()),
        len(closed),
    )


def reset(
    connection: RedisConnection,
    keys: MonitorKeys,
    shape: Shape,
    foundation_of: Callable[[bytes], Foundation],
) -> None:
    """Drop all windows of a monitor and begin a data set that goes on from where its segments stand.

    Whoever counts into the windows that are dropped learns of it as of a loss of data. What was settled
    stays so; what was not is counted again by the worker that finds that Redis holds less than was committed.

    Parameters
    ----------
    connection
        Where Redis is.
    keys
        Names of the monitor's keys.
    shape
        Shape of the windows to come.
    foundation_of
        Reads a stored standing.
    """
    while True:
        with connection.client() as client:
            standings: Any = client.hgetall(keys.alerts)
            progress: Any = client.hgetall(keys.progress)
        known = {segment.decode(): foundation_of(raw) for segment, raw in standings.items()}
        partitions = [int(field) for field in progress if field != b"epoch"]
        dropped = [keys.details, keys.scores, keys.closed, keys.leases, *map(keys.depends, partitions)]
        call = ScriptCall(RESET, _keys(keys) + dropped, _arguments(shape, known))
        if connection.run([call])[0]:
            return


def _keys(keys: MonitorKeys) -> list[str]:
    return [keys.progress, keys.shape, keys.open, keys.alerts, keys.frontiers]


def _arguments(shape: Shape, known: Mapping[str, Foundation]) -> list[str | bytes | int]:
    arguments: list[str | bytes | int] = [secrets.token_hex(8), shape.encode()]
    for segment, foundation in known.items():
        frontier = json.dumps({str(partition): offset for partition, offset in foundation.frontier.items()})
        arguments += [segment, new_window(foundation.sequence + 1), foundation.standing, frontier]
    return arguments
