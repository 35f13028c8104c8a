"""Codecs without their compiled parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from streams.codecs.json import column_scanner


@contextmanager
def without_scanner() -> Iterator[None]:
    """Let codecs that are opened meanwhile do without the compiled scanner."""
    with patch.object(column_scanner, "MISSING", ImportError("left out")):
        yield
