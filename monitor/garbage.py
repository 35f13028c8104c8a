"""Sparing Python's garbage collector the libraries, and the loop the collector."""

from __future__ import annotations

import gc
import time

COLLECT_SECONDS = 5.0
"""How often garbage is collected; only cycles of objects wait for it."""


def spare_what_is_loaded() -> None:
    """Take everything that exists now out of the collector's sight, once all is loaded and before the loop.

    Each record that is consumed is an object that the collector counts, and now and then it goes through all
    objects there are. TensorFlow alone leaves more than half a million, which cost ten times as much to look
    at again and again as the records cost to consume.
    """
    gc.collect()
    gc.freeze()


class GarbageBetweenBatches:
    """Collects garbage when no batch is in hand; entered around the loop, and shown every turn of it.

    A batch makes tens of thousands of objects, which vanish with it by themselves. Python's collector would
    look at them again and again meanwhile, as it wakes up at so many objects more than before: a tenth of the
    time of one monitor, and a fifth of that of a hundred.
    """

    def __init__(self) -> None:
        self._collect_at = 0.0

    def __enter__(self) -> GarbageBetweenBatches:
        self._was_enabled = gc.isenabled()
        gc.disable()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._was_enabled:
            gc.enable()

    def look(self) -> None:
        """Collect what is due."""
        if time.monotonic() >= self._collect_at:
            gc.collect()
            self._collect_at = time.monotonic() + COLLECT_SECONDS
