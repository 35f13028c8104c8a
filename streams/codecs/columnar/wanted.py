"""Which parts of an event are wanted: the paths of its fields as a tree."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.codecs.event_fields import FIELD_NAMES, split_path
from streams.events import EventSchema

NUMBER_FIELDS = frozenset({"instance", "prediction"})
"""Fields that hold numbers; the others hold a text or an integer each."""


def name_of_other(path: str) -> str:
    """Name the field that is wanted for routing only, wherever else its value goes."""
    return f"other {path}"


@dataclass
class Wanted:
    """What is wanted of one value within an event.

    Attributes
    ----------
    fields
        Names of the fields that the value itself is.
    below
        What is wanted of its parts, by key; empty if nothing is.
    """

    fields: list[str] = field(default_factory=list)
    below: dict[str, Wanted] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields or self.below)


NOTHING = Wanted()
"""What is wanted of a value that is skipped."""


def wanted_fields(schema: EventSchema) -> Wanted:
    """Return the tree of the fields that events of a schema have; no prediction where none is required.

    Raises
    ------
    CodecError
        If a path is wrong.
    """
    root = Wanted()
    paths = {name: getattr(schema.fields, name) for name in FIELD_NAMES}
    paths.update({name_of_other(path): path for path in schema.others})
    for name, path in paths.items():
        keys = split_path(path)
        if name == "prediction" and not schema.prediction_required:
            continue
        level = root
        for key in keys:
            level = level.below.setdefault(key, Wanted())
        level.fields.append(name)
    return root
