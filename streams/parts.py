"""Takes records apart and puts them together, by compiled code where that could be had.

See ``streams.plain_parts`` for what the functions do.
"""

from __future__ import annotations

try:
    from streams.record_parts import header_columns, packed, places, unpacked
except ImportError:
    from streams.plain_parts import header_columns, packed, places, unpacked

__all__ = ["header_columns", "packed", "places", "unpacked"]
