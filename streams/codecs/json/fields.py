"""Where the fields of a JSON event stand: dotted paths, compiled once, looked up by the keys of each event.

Asking simdjson for a key that is not there throws a C++ exception, which costs more than decoding an event.
So the keys are listed first (or known from the last event), and only what is there is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple, TypeAlias

from simdjson import Object

from streams.codecs.event_fields import FIELD_NAMES, split_path
from streams.events import EventSchema

MOST_LAYOUTS = 256
"""How many different key sequences are remembered; a producer of random keys must not fill the memory."""


class UnusualEventError(Exception):
    """An event that the fast way does not read; the exact one decides about it."""


def text_of_integer(found: object) -> str:
    """Return an integer where a text is wanted as one.

    Raises
    ------
    UnusualEventError
        If it is anything else.
    """
    if type(found) is int:
        return str(found)
    raise UnusualEventError


class Layout(NamedTuple):
    """An event of exactly these top-level keys and no others; None for a field that it does not have."""

    width: int
    instance: bytes
    prediction: bytes | None
    id: bytes | None
    time: bytes | None
    model: bytes | None
    segment: bytes | None


NO_LAYOUT = Layout(-1, b"", None, None, None, None, None)
"""Stands in while no layout is known: no event has its width."""

_Step: TypeAlias = "tuple[bytes, list[int], _Level | None]"


@dataclass
class _Level:
    """One object on the way to the fields: what to do with each of its keys that matters."""

    slots: dict[str, list[int]] = field(default_factory=dict)
    below: dict[str, _Level] = field(default_factory=dict)
    plans: dict[tuple[str, ...], tuple[list[_Step], Layout | None]] = field(default_factory=dict)

    def plan(self, keys: tuple[str, ...]) -> tuple[list[_Step], Layout | None]:
        """Work out and remember what to read from an object with these keys, and its layout if it has one."""
        if len(set(keys)) < len(keys):
            raise UnusualEventError
        if len(self.plans) >= MOST_LAYOUTS:
            self.plans.clear()
        steps = [
            (key.encode(), self.slots.get(key, []), self.below.get(key))
            for key in keys
            if key in self.slots or key in self.below
        ]
        at: list[Any] = [None] * len(FIELD_NAMES)
        for key, slots, _ in steps:
            for slot in slots:
                if slot < len(at):
                    at[slot] = key
        plain = len(steps) == len(keys) and not any(below for _, _, below in steps) and at[0] is not None
        planned = steps, Layout(len(keys), *at) if plain else None
        self.plans[keys] = planned
        return planned


class FieldReader:
    """Takes the fields out of parsed events.

    Parameters
    ----------
    schema
        Paths of the fields; predictions are not looked at when none is required.

    Raises
    ------
    CodecError
        If a path is wrong.
    """

    def __init__(self, schema: EventSchema) -> None:
        self._root = _Level()
        self._width = len(FIELD_NAMES) + len(schema.others)
        self._has_layouts = not schema.others
        paths = [getattr(schema.fields, name) for name in FIELD_NAMES]
        for slot, (name, path) in enumerate(zip_longest(FIELD_NAMES, [*paths, *schema.others])):
            keys = split_path(path)
            level = self._root
            for key in keys[:-1]:
                level = level.below.setdefault(key, _Level())
            slots = level.slots.setdefault(keys[-1], [])
            if name != "prediction" or schema.prediction_required:
                slots.append(slot)

    def read(self, event: Any) -> tuple[list[Any], Layout | None]:
        """Return what stands at each field of an event, and the event's layout.

        Returns
        -------
        found
            In the order of ``FIELD_NAMES``, then of ``EventSchema.others``; None where nothing stands.
        layout
            None if the event has other keys too, or nested ones, or other fields are read.

        Raises
        ------
        UnusualEventError
            If the event is not an object, repeats a key, or has something else than an object on a path.
        """
        found: list[Any] = [None] * self._width
        layout = self._read_level(self._root, event, found)
        return found, layout if self._has_layouts else None

    def _read_level(self, level: _Level, item: Any, found: list[Any]) -> Layout | None:
        if type(item) is not Object:
            raise UnusualEventError
        # simdjson declares keys as text, but bytes spare it the encoding.
        at: Any = item
        keys = tuple(item)
        steps, layout = level.plans.get(keys) or level.plan(keys)
        for key, slots, below in steps:
            inner = at[key]
            for slot in slots:
                found[slot] = inner
            if below is not None and inner is not None:
                self._read_level(below, inner, found)
        return layout
