"""What a worker commits to Kafka: how far it counted, and from where that could be rebuilt."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FORMAT_VERSION = 1
TAG_BYTES = 4
"""Brokers take 4096 bytes of metadata a commit, which holds some 700 monitors of one topic."""


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
    counters
        Who had counted events of the partition by then, each as ``counter_tag``; None when that is not known.
    """

    offset: int
    low: int
    counters: frozenset[bytes] | None = None

    def metadata(self) -> str:
        """Return what is committed beside the offset."""
        data: dict[str, int | str] = {"v": FORMAT_VERSION, "low": self.low}
        if self.counters is not None:
            data["by"] = base64.b64encode(b"".join(sorted(self.counters))).decode()
        return json.dumps(data, separators=(",", ":"))

    def counted_by(self, name: str) -> bool:
        """Tell whether a monitor had counted events of the partition; taken to be so when not known."""
        return self.counters is None or counter_tag(name) in self.counters

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
            counters = _split_tags(data["by"]) if "by" in data else None
        except (ValueError, TypeError, KeyError):
            low, counters = offset, None
        return cls(offset, min(low, offset) if isinstance(low, int) else offset, counters)


def counter_tag(name: str) -> bytes:
    """Name a monitor in a few bytes, so that hundreds of them fit into the metadata of a commit."""
    return hashlib.blake2b(name.encode(), digest_size=TAG_BYTES).digest()


def counter_tags(names: Iterable[str]) -> frozenset[bytes]:
    """Name monitors as ``Mark.counters`` does."""
    return frozenset(map(counter_tag, names))


def _split_tags(joined: str) -> frozenset[bytes]:
    raw = base64.b64decode(joined, validate=True)
    return frozenset(raw[i : i + TAG_BYTES] for i in range(0, len(raw), TAG_BYTES))


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
    joining
        Monitors that had not counted the partition when it was committed, with the next offset that each has
        not counted: None for a new one, an older or newer one for one that was watched before.
    """

    offset: int
    missing: int = 0
    rebuilds: bool = False
    recreated: bool = False
    joining: Mapping[str, int | None] = field(default_factory=dict)


def start_of(
    mark: Mark | None, counted: Mapping[str, int | None], log_start: int, log_end: int, default: int
) -> Start:
    """Decide where to begin reading a partition that was just assigned.

    Redis is the truth about what is counted; the commit tells what Redis should hold. Where a monitor's
    progress is behind the commit, Redis has gone back to an older state and reading resumes from there; where
    there is no progress at all, Redis has lost it and reading resumes from the low watermark. Offsets already
    counted are skipped by the windows' own check.

    A monitor that had not counted the partition when it was committed, because it is new or was not watched
    then, begins at the commit: it neither rewinds the others nor looks like a loss.

    Parameters
    ----------
    mark
        What was committed; None when nothing was.
    counted
        Next offset not yet counted in Redis, by monitor of the topic; None where there is none.
    log_start, log_end
        First offset in the partition, and the offset after its last.
    default
        Where to begin when neither Kafka nor Redis knows anything.
    """
    joining = {} if mark is None else {n: o for n, o in counted.items() if not mark.counted_by(n)}
    staying = [offset for name, offset in counted.items() if name not in joining]
    known = [offset for offset in staying if offset is not None]
    if max([*known, 0 if mark is None else mark.offset]) > log_end:
        return Start(log_start, recreated=True)
    if mark is None:
        # What was rejected of the offsets counted may not have reached the dead letters.
        wanted = min([*known, default])
        rebuilds = False
    else:
        positions = [mark.low if offset is None else min(offset, mark.offset) for offset in staying]
        wanted = min(positions, default=mark.offset)
        rebuilds = wanted < mark.offset
    return Start(max(wanted, log_start), max(0, log_start - wanted), rebuilds, joining=joining)
