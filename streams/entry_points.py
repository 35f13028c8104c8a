"""What installed packages add, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group by name, sorted.

    All installed packages are gone through for it, which takes milliseconds, and once a process: a config
    asks for each of its monitors.
    """
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    return MappingProxyType({point.name: point for point in points})
