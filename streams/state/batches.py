"""What goes into the windows of a monitor at a time, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt

from streams.state.planning import Plan
from streams.state.windows import ClosedWindow, ScoredRows


@dataclass(frozen=True)
class Planned:
    """What a batch does.

    Attributes
    ----------
    next_offsets
        For each partition that the batch brings forward, the offset after its last record.
    plan
        What becomes of the open windows.
    rejected
        How many of its events were rejected, by reason.
    """

    next_offsets: Mapping[int, int]
    plan: Plan
    rejected: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Batch:
    """Scores of one batch on their way into the windows of one monitor.

    Attributes
    ----------
    rows
        The scored rows, in the order consumed.
    segments
        Segment of each row; None when all belong to ``default_segment``.
    next_offsets
        For each partition in the batch (rejected events included), the offset after its last record.
    default_segment
        Segment of rows when ``segments`` is None.
    rejected
        Partition, offset and reason of each rejected event.
    planned
        What the batch was last found to do.
    """

    rows: ScoredRows
    segments: Sequence[str] | None
    next_offsets: Mapping[int, int]
    default_segment: str = "all"
    rejected: Sequence[tuple[int, int, str]] = ()
    planned: Planned | None = field(default=None, init=False, repr=False)

    def leave_out(self, rows: npt.NDArray[np.bool_]) -> None:
        """Drop the rows that a mask names."""
        if rows.any():
            if self.segments is not None:
                self.segments = list(compress(self.segments, ~rows))
            self.rows = self.rows.take(~rows)


@dataclass(frozen=True)
class Appended:
    """What a batch led to.

    Attributes
    ----------
    closed
        Windows that the batch filled, in order within each segment; this worker holds their lease.
    alert_states
        Stored alert state of each segment that closed a window; None where there is none yet.
    depends_on
        For each partition of the batch, the first offset that an unsettled window still holds; None when
        no window does.
    reference
        Version of the reference in force; None before any was promoted.
    """

    closed: Sequence[ClosedWindow]
    alert_states: Mapping[str, bytes | None]
    depends_on: Mapping[int, int | None]
    reference: str | None
