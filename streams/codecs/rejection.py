"""How a codec says that one event is bad, and the checks of a value that come before any decoding."""

from __future__ import annotations

from typing import NoReturn

from streams.events import RejectReason

SHOWN_CHARACTERS = 60
"""How much of an offending value a detail repeats: enough to recognise it, too little to fill a header."""


class BadEventError(Exception):
    """One event cannot be read; never leaves a codec, which turns it into a ``RejectedEvent``."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def refuse(reason: RejectReason, detail: str) -> NoReturn:
    """Refuse an event; ``detail`` is one sentence that says what was found and what would be right."""
    raise BadEventError(reason, detail)


def shown(value: object) -> str:
    """Return ``repr(value)``, cut to a length that fits a sentence."""
    text = repr(value[: SHOWN_CHARACTERS + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."


def checked_value(value: bytes | None, max_bytes: int) -> bytes:
    """Return the value of a record when there is something to decode.

    Raises
    ------
    BadEventError
        If it is a tombstone, empty, or larger than ``max_bytes``.
    """
    if value is None:
        raise BadEventError(
            RejectReason.UNDECODABLE, "The record is a tombstone, expected a value with an event."
        )
    if not value:
        raise BadEventError(RejectReason.UNDECODABLE, "The value is empty, expected an event.")
    if len(value) > max_bytes:
        raise BadEventError(
            RejectReason.TOO_LARGE, f"The value has {len(value)} bytes, expected at most {max_bytes}."
        )
    return value
