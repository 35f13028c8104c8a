"""One Avro event read with fastavro: exact about every fault, and in no hurry."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NoReturn

from fastavro import schemaless_reader

from streams.codecs.avro.kinds import LOGICAL_TYPE, UNITS_PER_MS, resolved
from streams.codecs.avro.writer_schema import WriterSchema
from streams.codecs.event_fields import split_path
from streams.codecs.event_reader import EventReader, ReadEvent
from streams.codecs.rejection import BadEventError, shown
from streams.events import EventSchema, RejectReason


class ExactReader:
    """Reads one event at a time.

    Parameters
    ----------
    schema
        What a valid event looks like.
    writer
        What it was written with.
    """

    def __init__(self, schema: EventSchema, writer: WriterSchema) -> None:
        self._events = EventReader(schema)
        self._plain = writer.plain
        *self._time_parents, self._time_key = split_path(schema.fields.time)
        self._units_per_ms = _units_per_ms(writer, [*self._time_parents, self._time_key])

    def read(self, encoded: bytes) -> ReadEvent:
        """Read an event without the schema id in front of it.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if the event is rejected.
        """
        stream = BytesIO(encoded)
        try:
            # Text that nobody reads need not be UTF-8; in text that is read, an escape is refused.
            event: Any = schemaless_reader(stream, self._plain, None, handle_unicode_errors="surrogateescape")
        except Exception as error:  # fastavro lets through whatever wrong bytes happen to cause.
            # Without the memory address of the stream that fastavro names.
            found = str(error).partition(" from <")[0] or type(error).__name__
            _refuse(f"The value is not what its Avro schema says ({shown(found)}).")
        if stream.tell() != len(encoded):
            _refuse(
                f"The Avro record ends after {stream.tell()} of {len(encoded)} bytes, expected all of them."
            )
        self._rescale_time(event)
        return self._events.read(event)

    def _rescale_time(self, event: Any) -> None:
        for key in self._time_parents:
            event = event.get(key) if isinstance(event, dict) else None
        if isinstance(event, dict) and type(event.get(self._time_key)) is int:
            event[self._time_key] //= self._units_per_ms


def _refuse(detail: str) -> NoReturn:
    raise BadEventError(RejectReason.UNDECODABLE, detail)


def _units_per_ms(writer: WriterSchema, path: list[str]) -> int:
    """Find the unit of the time, which stands at ``path`` if it is there at all."""
    types = [writer.parsed]
    for key in path:
        types = [
            field["type"]
            for one in _branches(types, writer.named)
            if isinstance(one, dict)
            for field in one.get("fields", ())
            if field["name"] == key
        ]
    units = {
        UNITS_PER_MS.get(one.get(LOGICAL_TYPE, ""), 1)
        for one in _branches(types, writer.named)
        if isinstance(one, dict)
    }
    return units.pop() if len(units) == 1 else 1


def _branches(types: list[Any], named: dict[str, Any]) -> list[Any]:
    """Take unions apart."""
    found: list[Any] = []
    for schema in types:
        one = resolved(schema, named)
        found += _branches(one, named) if isinstance(one, list) else [one]
    return found
