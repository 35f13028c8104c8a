"""Where a segment stands: what is settled of it, and its alert state after that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from monitor.alerts.policy import AlertState
from streams.errors import StateError
from streams.state.founding import Foundation


class Standing(NamedTuple):
    """The outcome of a segment's settled windows, as kept in Redis and in the state topic.

    Attributes
    ----------
    sequence
        Number of the last settled window; 0 when there is none.
    alert
        Alert state after it.
    frontier
        First offset, by partition, that windows after it may hold: all of the segment's events before are
        settled.
    """

    sequence: int = 0
    alert: AlertState = AlertState()
    frontier: Mapping[int, int] = MappingProxyType({})

    def encode(self) -> bytes:
        """Return the form kept: the sequence, a space and JSON."""
        frontier = {str(partition): offset for partition, offset in self.frontier.items()}
        body = json.dumps([self.alert.to_json(), frontier], separators=(",", ":"))
        return f"{self.sequence} {body}".encode()

    @classmethod
    def foundation(cls, raw: bytes) -> Foundation:
        """Return what windows go on from after what ``encode`` wrote.

        Raises
        ------
        StateError
            If it cannot have been written by ``encode``.
        """
        standing = cls.decode(raw)
        return Foundation(standing.sequence, raw, standing.frontier)

    @classmethod
    def decode(cls, raw: bytes | None) -> Standing:
        """Read what ``encode`` wrote; None stands for a segment without settled windows.

        Raises
        ------
        StateError
            If it cannot have been written by ``encode``.
        """
        if raw is None:
            return cls()
        try:
            sequence, _, body = raw.partition(b" ")
            alert, frontier = json.loads(body)
            offsets = {int(partition): offset for partition, offset in frontier.items()}
            return cls(int(sequence), AlertState.from_json(alert), offsets)
        except (ValueError, TypeError, AttributeError) as error:
            raise StateError(f"The standing of a segment cannot be read: {raw[:80]!r}.") from error
