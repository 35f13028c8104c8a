"""What a worker commits to Kafka: how far it counted, and from where that could be rebuilt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Mark:
    """A committed position of one partition.

    Attributes
    ----------
    offset
        Next offset to read: all before it is counted.
    low
        First offset that an unsettled window still held at the time; reading again from here rebuilds all
        windows that had no verdict. Equal to ``offset`` when no window held any.
    """

    offset: int
    low: int

    def metadata(self) -> str:
        """Return what is committed beside the offset."""
        return json.dumps({"v": FORMAT_VERSION, "low": self.low}, separators=(",", ":"))

    @classmethod
    def read(cls, offset: int, metadata: str | None) -> Mark | None:
        """Read a committed offset; None when nothing was committed.

        A commit without metadata that this software wrote (an offset set by an operator's tool, say) is
        taken at its word: its low watermark is its offset.
        """
        if offset < 0:
            return None
        try:
            data = json.loads(metadata or "")
            low = data["low"] if data["v"] == FORMAT_VERSION else offset
        except (ValueError, TypeError, KeyError):
            low = offset
        return cls(offset, min(low, offset) if isinstance(low, int) else offset)


@dataclass(frozen=True)
class Start:
    """Where to begin reading a partition.

    Attributes
    ----------
    offset
        First offset to read.
    missing
        Offsets that should have been read but are no longer in the topic.
    rebuilds
        Whether windows are rebuilt because Redis holds less than was committed.
    recreated
        Whether the topic ends before what was counted, as after its deletion and re-creation.
    """

    offset: int
    missing: int = 0
    rebuilds: bool = False
    recreated: bool = False


def start_of(
    mark: Mark | None, counted: Sequence[int | None], log_start: int, log_end: int, default: int
) -> Start:
    """Decide where to begin reading a partition that was just assigned.

    Redis is the truth about what is counted; the commit tells what Redis should hold. Where a monitor's
    progress is behind the commit, Redis has gone back to an older state and reading resumes from there; where
    there is no progress at all, Redis has lost it (or the monitor is new) and reading resumes from the low
    watermark. Offsets already counted are skipped by the windows' own check.

    Parameters
    ----------
    mark
        What was committed; None when nothing was.
    counted
        Next offset not yet counted in Redis, one for each monitor of the topic; None where there is none.
    log_start, log_end
        First offset in the partition, and the offset after its last.
    default
        Where to begin when neither Kafka nor Redis knows anything.
    """
    known = [offset for offset in counted if offset is not None]
    if known and max(known) > log_end:
        return Start(log_start, recreated=True)
    if mark is None:
        # What was rejected of the offsets counted may not have reached the dead letters.
        wanted = min([*known, default])
        rebuilds = False
    else:
        positions = [mark.low if offset is None else min(offset, mark.offset) for offset in counted]
        wanted = min(positions, default=mark.offset)
        rebuilds = wanted < mark.offset
    return Start(max(wanted, log_start), max(0, log_start - wanted), rebuilds)
