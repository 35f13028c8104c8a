"""Sparing Python's garbage collector the libraries."""

from __future__ import annotations

import gc


def spare_what_is_loaded() -> None:
    """Take everything that exists now out of the collector's sight, once all is loaded and before the loop.

    Each record that is consumed is an object that the collector counts, and now and then it goes through all
    objects there are. TensorFlow alone leaves more than half a million, which cost ten times as much to look
    at again and again as the records cost to consume.
    """
    gc.collect()
    gc.freeze()
