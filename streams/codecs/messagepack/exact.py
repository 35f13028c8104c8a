"""One MessagePack event read with the msgpack library: exact about every fault, and in no hurry."""

from __future__ import annotations

from typing import Any

import msgpack

from streams.codecs.event_fields import split_path
from streams.codecs.event_reader import EventReader, ParsedObject, ReadEvent, in_words
from streams.codecs.rejection import BadEventError, checked_value, shown
from streams.events import EventSchema, RejectReason

_NS_PER_MS = 1_000_000


class ExactReader:
    """Reads one event at a time by the rules of ``schema``."""

    def __init__(self, schema: EventSchema) -> None:
        self._max_bytes = schema.max_bytes
        self._events = EventReader(schema)
        self._numbers = [split_path(path) for path in (schema.fields.instance, schema.fields.prediction)]
        self._time = split_path(schema.fields.time)

    def read(self, value: bytes | None) -> ReadEvent:
        """Read the value of one record.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if the event is rejected.
        """
        encoded = checked_value(value, self._max_bytes)
        try:
            event: Any = msgpack.unpackb(
                encoded,
                strict_map_key=False,
                object_pairs_hook=ParsedObject,
                # Text that nobody reads need not be UTF-8; in text that is read, an escape is refused.
                unicode_errors="surrogateescape",
            )
        except Exception as error:  # msgpack lets through whatever a key or a length happens to cause.
            found = str(error) or type(error).__name__
            raise BadEventError(
                RejectReason.UNDECODABLE, f"The value is not one MessagePack value ({shown(found)})."
            ) from error
        if not isinstance(event, ParsedObject):
            raise BadEventError(
                RejectReason.UNDECODABLE, f"The value is {in_words(event)}, expected a MessagePack map."
            )
        for path in self._numbers:
            _replace(event, path, msgpack.ExtType, lambda found: found.data)
        _replace(event, self._time, msgpack.Timestamp, lambda found: found.to_unix_nano() // _NS_PER_MS)
        return self._events.read(event)


def _replace(event: Any, path: list[str], kind: type, change: Any) -> None:
    """Replace what stands at a path if it is of a kind."""
    *parents, key = path
    for parent in parents:
        event = event.get(parent) if isinstance(event, dict) else None
    if isinstance(event, dict) and isinstance(event.get(key), kind):
        event[key] = change(event[key])
