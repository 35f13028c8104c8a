"""How fast events come, from when their windows were tested."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from monitor.verdicts.verdict import Verdict

LATEST = 20
"""Verdicts over which the present rate is taken."""


def rates(verdicts: Sequence[Verdict], hop: int) -> list[float | None]:
    """Scores a second up to each verdict; None where nothing came before to count from.

    Parameters
    ----------
    verdicts
        Verdicts of one segment, oldest first.
    hop
        Scores of its own that a full window has: its size, or fewer when windows overlap.

    Notes
    -----
    Windows that a worker tests together have one time. They count as one, from the time before.
    """
    found: list[float | None] = []
    before: int | None = None
    for tested_ms, group in groupby(verdicts, key=lambda verdict: verdict.tested_ms):
        together = list(group)
        seconds = 0.0 if before is None else (tested_ms - before) / 1000
        rate = _fresh(together, hop) / seconds if seconds > 0 else None
        found += [rate] * len(together)
        before = tested_ms
    return found


def present_rate(verdicts: Sequence[Verdict], hop: int) -> float | None:
    """Scores a second over the latest verdicts; None when they do not tell."""
    latest = verdicts[-LATEST:]
    later = [verdict for verdict in latest if verdict.tested_ms > latest[0].tested_ms]
    if not later:
        return None
    return _fresh(later, hop) / ((later[-1].tested_ms - latest[0].tested_ms) / 1000)


def _fresh(verdicts: Sequence[Verdict], hop: int) -> int:
    return sum(min(verdict.size, hop) for verdict in verdicts)
