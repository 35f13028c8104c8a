"""How long each stage of the loop takes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stages:
    """A clock for the stages of the loop; entered once a batch, never once an event.

    Parameters
    ----------
    took
        Told of a stage and of the seconds that it took, each time.

    Attributes
    ----------
    seconds
        Time spent in each stage so far, by its name.
    rest_seconds
        How long to rest after each stage, for the good of other threads, which cannot run Python meanwhile.
    """

    def __init__(self, took: Callable[[str, float], None]) -> None:
        self._took = took
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.rest_seconds = 0.0

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self.seconds[stage] += elapsed
            self._took(stage, elapsed)
            if self.rest_seconds:
                time.sleep(self.rest_seconds)
