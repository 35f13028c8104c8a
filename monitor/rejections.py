"""The limit on rejected events, so that a wrong config does not empty a whole topic into the bin."""

from __future__ import annotations

from collections import deque

from monitor.errors import MonitorError


class RejectionLimit:
    """Watches the share of rejected events among the latest ones.

    Parameters
    ----------
    max_fraction
        Share at which to stop; None for no limit.
    over_events
        Number of latest events it is taken over, to the nearest whole batch.
    """

    def __init__(self, max_fraction: float | None, over_events: int) -> None:
        self._max_fraction = max_fraction
        self._over_events = over_events
        self._batches: deque[tuple[int, int]] = deque()
        self._events = self._rejected = 0

    def note(self, topic: str, accepted: int, rejected: int) -> None:
        """Take note of a batch.

        Raises
        ------
        MonitorError
            If the share of rejected events has reached the limit.
        """
        if self._max_fraction is None:
            return
        self._batches.append((accepted + rejected, rejected))
        self._events += accepted + rejected
        self._rejected += rejected
        while self._events - self._batches[0][0] >= self._over_events:
            events, old_rejected = self._batches.popleft()
            self._events -= events
            self._rejected -= old_rejected
        if self._events >= self._over_events and self._rejected >= self._max_fraction * self._events:
            raise MonitorError(
                f"{self._rejected} of the latest {self._events} events were rejected, the last ones from"
                f" topic {topic!r}; that reaches worker.max_rejected_fraction ({self._max_fraction:g}). The"
                " dead-letter topic tells the reasons. Mend the producer or the config, then start again."
            )
