"""Where the fields of an event stand, as dotted paths, whatever it was encoded in."""

from __future__ import annotations

from streams.errors import CodecError

FIELD_NAMES = ("instance", "prediction", "id", "time", "model", "segment")
"""The fields of an event that the product reads by itself, before ``EventSchema.others``."""


def split_path(path: str) -> list[str]:
    """Split a dotted path into keys.

    Raises
    ------
    CodecError
        If a key is empty or holds a NUL character.
    """
    keys = path.split(".")
    if not all(keys) or "\0" in path:
        raise CodecError(
            f"The field path {path!r} is wrong, expected names joined by dots, such as 'payload.features'."
        )
    return keys


def routing_text(found: object) -> str | None:
    """Return a text, number or truth value as the text to route by; None for anything else."""
    if isinstance(found, str):
        return found
    if isinstance(found, bool):
        return "true" if found else "false"
    return repr(found) if isinstance(found, (int, float)) else None
