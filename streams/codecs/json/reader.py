"""One JSON event read with the standard library: exact about every fault, and in no hurry."""

from __future__ import annotations

import json

from streams.codecs.event_reader import EventReader, ParsedObject, ReadEvent, in_words
from streams.codecs.rejection import checked_value, refuse
from streams.events import EventSchema, RejectReason

LONGEST_EXACT_INTEGER = 20
"""Digits up to which an integer is kept as one. Longer ones are read as floats: reading them exactly takes
time that grows with the square of their length, and they are rounded anyway."""


class JsonReader:
    """Reads one event at a time by the rules of ``schema``."""

    def __init__(self, schema: EventSchema) -> None:
        self._max_bytes = schema.max_bytes
        self._events = EventReader(schema)

    def read(self, value: bytes | None) -> ReadEvent:
        """Read the value of one record.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if the event is rejected.
        """
        event, constants = load_json(checked_value(value, self._max_bytes))
        read = self._events.read(event)
        if constants:
            refuse(RejectReason.UNDECODABLE, f"The value is not JSON, which has no number {constants[0]}.")
        return read


def load_json(value: bytes) -> tuple[ParsedObject, list[str]]:
    """Parse an event; also return the NaN and Infinity in it, which Python reads but JSON does not have.

    Raises
    ------
    BadEventError
        If the value is not a JSON object.
    """
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    try:
        event = json.loads(
            value.decode("utf-8-sig"),
            object_pairs_hook=ParsedObject,
            parse_constant=constant,
            parse_int=lambda digits: int(digits) if len(digits) <= LONGEST_EXACT_INTEGER else float(digits),
        )
    except UnicodeDecodeError as error:
        refuse(RejectReason.UNDECODABLE, f"The value is not UTF-8: byte {error.start} cannot be read.")
    except json.JSONDecodeError as error:
        refuse(
            RejectReason.UNDECODABLE,
            f"The value is not JSON: {error.msg} at character {error.pos}, expected an object.",
        )
    except RecursionError:
        refuse(RejectReason.UNDECODABLE, "The value is nested too deeply to be an event.")
    if not isinstance(event, ParsedObject):
        refuse(RejectReason.UNDECODABLE, f"The value is {in_words(event)}, expected a JSON object.")
    return event, constants
