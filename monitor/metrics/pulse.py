"""Whether a worker's loop turns, and what holds it up."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

STUCK_AFTER_SECONDS = 60.0
"""How long one turn of the loop may take. The longest that is well, with a model compiled for a new batch,
takes seconds; Kafka's own limit (``max.poll.interval.ms``) is five minutes."""


@dataclass
class Pulse:
    """Signs of life of a worker; written by its loop, read by any thread.

    Attributes
    ----------
    turned_at
        When the loop last turned, or tried again what Redis or Kafka held up, as ``time.monotonic`` counts.
    waiting_for
        The sentence of the error that holds the loop up; None while it works.
    joined
        Whether the worker is a member of its consumer group.
    """

    turned_at: float = field(default_factory=time.monotonic)
    waiting_for: str | None = None
    joined: bool = False

    def beat(self) -> None:
        """Note that the loop turns."""
        self.turned_at = time.monotonic()

    def stuck(self, now: float) -> str | None:
        """Say for how long the loop has not turned; None when it turns as it should."""
        still = now - self.turned_at
        return None if still < STUCK_AFTER_SECONDS else f"The loop has not turned for {still:.0f} s."

    def hindrances(self, now: float) -> list[str]:
        """Say what keeps the worker from counting events; nothing when it is ready."""
        found = [self.stuck(now), self.waiting_for]
        if not self.joined:
            found.append("The worker has not joined its consumer group yet.")
        return [sentence for sentence in found if sentence is not None]
