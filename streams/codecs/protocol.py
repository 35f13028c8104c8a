"""What a codec is, and how one is found by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Protocol

from streams.errors import CodecError
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch

CODEC_ENTRY_POINT_GROUP = "drift_monitor.codecs"


class Codec(Protocol):
    """Turns records into columns. Constructed once per input with the schema its events must match."""

    def __init__(self, schema: EventSchema) -> None: ...

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        ...


def codec_class(name: str) -> type[Codec]:
    """Find a codec class by the name its entry point has in group ``drift_monitor.codecs``.

    Raises
    ------
    CodecError
        If no installed package offers a codec of that name.
    """
    found = {point.name: point for point in entry_points(group=CODEC_ENTRY_POINT_GROUP)}
    if name not in found:
        known = ", ".join(sorted(found))
        raise CodecError(f"There is no event format {name!r}; installed formats are: {known}.")
    codec: type[Codec] = found[name].load()
    return codec
