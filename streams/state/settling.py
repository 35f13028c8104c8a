"""Settling verdicts: in each segment in window order, each window once, whoever gives the verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.state.redis_connection import ScriptCall, load_script
from streams.state.redis_keys import MonitorKeys
from streams.state.windows import ClosedWindow

SETTLE = load_script("settle")


@dataclass(frozen=True)
class Settlement:
    """Verdicts of one segment, in window order, to be settled together.

    Attributes
    ----------
    segment
        The segment.
    after
        Sequence of the last window settled before these; 0 when there is none.
    standing
        Where the segment stands after these verdicts, as the caller encodes it: begins with the sequence of
        the last of them and a space.
    windows
        The windows.
    verdicts
        One encoded verdict a window, for the history.
    marked
        Place among the windows of the last one to be kept for people until the next that is marked; None
        for none.
    """

    segment: str
    after: int
    standing: bytes
    windows: Sequence[ClosedWindow]
    verdicts: Sequence[bytes]
    marked: int | None = None


@dataclass(frozen=True)
class Settled:
    """What became of settlements.

    Attributes
    ----------
    refused
        Stored alert state of each segment whose settlement was refused because another worker was first.
    depends_on
        For each partition of the settled windows, the first offset that an unsettled window still holds.
    """

    refused: Mapping[str, bytes | None]
    depends_on: Mapping[int, int | None]


def settle_call(
    keys: MonitorKeys, epoch: bytes, history: int, settlements: Sequence[Settlement]
) -> ScriptCall:
    """Encode settlements for ``lua/settle.lua``.

    Parameters
    ----------
    keys
        Names of the monitor's keys.
    epoch
        Id of the data set that the windows are in.
    history
        Verdicts kept a segment.
    settlements
        The settlements, one a segment.
    """
    partitions = touched_partitions(settlements)
    args: list[str | bytes | int] = [epoch, history, len(partitions), len(settlements)]
    for settlement in settlements:
        args += [settlement.segment, settlement.after or "", settlement.standing]
        args += [len(settlement.windows), 0 if settlement.marked is None else settlement.marked + 1]
        for window, verdict in zip(settlement.windows, settlement.verdicts, strict=True):
            args += [window.sequence, verdict]
    names = [keys.progress, keys.closed, keys.leases, keys.alerts]
    names += [keys.depends(partition) for partition in partitions]
    names += [keys.verdicts(settlement.segment) for settlement in settlements]
    names += [keys.last(settlement.segment) for settlement in settlements]
    names += [keys.marked(settlement.segment) for settlement in settlements]
    return ScriptCall(SETTLE, names, args)


def read_settled(
    settlements: Sequence[Settlement], outcomes: Sequence[bytes], lows: Sequence[bytes]
) -> Settled:
    """Read what ``lua/settle.lua`` says became of settlements."""
    return Settled(
        refused={
            settlement.segment: outcome or None
            for settlement, outcome in zip(settlements, outcomes, strict=True)
            if outcome != b"ok"
        },
        depends_on=lowest(touched_partitions(settlements), lows),
    )


def touched_partitions(settlements: Sequence[Settlement]) -> list[int]:
    """Partitions that windows of settlements hold events of."""
    return sorted({p for s in settlements for window in s.windows for p in window.pane.offsets})


def lowest(partitions: Sequence[int], lows: Sequence[bytes]) -> dict[int, int | None]:
    """Read the first offset that unsettled windows depend on by partition; None where there is none."""
    return {p: int(low) if low else None for p, low in zip(partitions, lows, strict=True)}
