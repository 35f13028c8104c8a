"""One parsed event judged by the rules of its schema: exact about every fault, and in no hurry.

This is the judge of what an event means, whatever it was encoded in. Codecs read whole batches much faster
and hand over every event about which they have the slightest doubt, so each reason and sentence in a dead
letter comes from here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from streams.codecs.event_fields import routing_text, split_path
from streams.codecs.event_time import EXPECTED_TIME, in_range_ms, parse_times_ms
from streams.codecs.packed_numbers import packed_dtype
from streams.codecs.rejection import BadEventError, refuse, shown
from streams.codecs.validation import (
    distribution_rows,
    explain_not_distribution,
    explain_not_finite,
    finite_rows,
    to_float32,
)
from streams.events import EventSchema, RejectReason

DEEPEST_SHAPE = 16
"""Nesting up to which the shape of a wrong array is told."""


@dataclass(frozen=True)
class ReadEvent:
    """An accepted event.

    Attributes
    ----------
    instance
        float64, flat.
    prediction
        float64, shape (n_classes,); None when the schema asks for none.
    id, model, segment
        Texts, None where the event has none.
    time_ms
        Milliseconds since 1970, None where the event has none.
    others
        Texts to route by, in the order of ``EventSchema.others``; None where the event has none.
    """

    instance: npt.NDArray[np.float64]
    prediction: npt.NDArray[np.float64] | None
    id: str | None
    time_ms: int | None
    model: str | None
    segment: str | None
    others: Sequence[str | None] = ()


class ParsedObject(dict[str, Any]):
    """An object as a parser found it, which knows the keys that stood in it more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated: set[str] = set()
        if len(self) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                (self.repeated if key in seen else seen).add(key)


class EventReader:
    """Judges one parsed event at a time by the rules of ``schema``."""

    def __init__(self, schema: EventSchema) -> None:
        self._schema = schema

    def read(self, event: dict[str, Any]) -> ReadEvent:
        """Read an event that was parsed into Python objects: dicts, lists, numbers, texts, bytes.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if the event is rejected.
        """
        schema, fields = self._schema, self._schema.fields
        instance = _numbers(event, fields.instance, schema.input_shape)
        prediction = None
        if schema.prediction_required:
            prediction = _numbers(event, fields.prediction, (schema.n_classes,))
            as_float32 = to_float32(prediction)
            if not distribution_rows(as_float32[np.newaxis])[0]:
                detail = explain_not_distribution(f"field {fields.prediction!r}", as_float32)
                raise BadEventError(RejectReason.NOT_A_DISTRIBUTION, detail)
        return ReadEvent(
            instance=instance,
            prediction=prediction,
            id=text_at(event, fields.id),
            time_ms=time_ms_at(event, fields.time),
            model=text_at(event, fields.model),
            segment=text_at(event, fields.segment),
            others=[routing_text_at(event, path) for path in schema.others],
        )


def lookup(event: dict[str, Any], path: str) -> Any:
    """Return what stands at ``path``, None when nothing does."""
    found: Any = event
    walked: list[str] = []
    for key in split_path(path):
        if found is None:
            return None
        if not isinstance(found, dict):
            field = ".".join(walked)
            refuse(
                RejectReason.WRONG_DTYPE,
                f"The field {field!r} is {in_words(found)}, expected an object with {key!r} in it.",
            )
        if isinstance(found, ParsedObject) and key in found.repeated:
            refuse(
                RejectReason.UNDECODABLE,
                f"The key {key!r} stands in the event more than once, expected it once.",
            )
        walked.append(key)
        found = found.get(key)
    return found


def _numbers(event: dict[str, Any], path: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    found = lookup(event, path)
    if found is None:
        refuse_absent(event, path)
    return numbers_of(found, path, shape)


def refuse_absent(event: dict[str, Any], path: str) -> NoReturn:
    """Refuse an event that has nothing at ``path``."""
    present = ", ".join(shown(key) for key in list(event)[:8]) or "nothing"
    absent = "is null" if "." not in path and path in event else "is missing"
    refuse(RejectReason.MISSING_FIELD, f"The field {path!r} {absent}; the event holds {present}.")


def numbers_of(
    found: Any, path: str, shape: tuple[int, ...], *, kinds: tuple[type, ...] = (float, int)
) -> npt.NDArray[np.float64]:
    """Return the numbers of what stands at ``path``, flat.

    Raises
    ------
    BadEventError
        If they are not flat or nested as exactly ``shape``, not of the types in ``kinds``, or not finite.
    """
    if isinstance(found, bytes):
        return _packed_numbers(found, path, shape)
    if not isinstance(found, list):
        refuse(
            RejectReason.WRONG_DTYPE,
            f"The field {path!r} is {in_words(found)}, expected numbers in shape {shape}.",
        )
    level = found
    flat = not any(isinstance(item, list) for item in found)
    if flat and len(found) != math.prod(shape):
        _refuse_shape(path, found, shape)
    if not flat:
        for depth, length in enumerate(shape):
            if depth:
                if not all(isinstance(item, list) and len(item) == length for item in level):
                    _refuse_other_than_numbers(path, found, kinds)
                    _refuse_shape(path, found, shape)
                level = list(chain.from_iterable(level))
            elif len(level) != length:
                _refuse_other_than_numbers(path, found, kinds)
                _refuse_shape(path, found, shape)
    if not all(type(item) in kinds for item in level):
        _refuse_other_than_numbers(path, found, kinds)
        _refuse_shape(path, found, shape)
    numbers = np.array(level, dtype=np.float64)
    return checked_finite(numbers, path, numbers.shape if flat else shape)


def _packed_numbers(found: bytes, path: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    dtype = packed_dtype(len(found), math.prod(shape))
    if dtype is None:
        refuse(
            RejectReason.WRONG_SHAPE,
            f"The field {path!r} has {len(found)} bytes, expected {math.prod(shape)} little-endian numbers of"
            " float32 or float64.",
        )
    # A signalling NaN is refused as any other, without a warning from the conversion.
    with np.errstate(invalid="ignore"):
        numbers = np.frombuffer(found, dtype).astype(np.float64)
    return checked_finite(numbers, path, shape)


def checked_finite(
    numbers: npt.NDArray[np.float64], path: str, shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Return ``numbers``, flat, of an array of ``shape``, when float32 can hold all of them."""
    if not finite_rows(to_float32(numbers)[np.newaxis])[0]:
        refuse(RejectReason.NOT_FINITE, explain_not_finite(f"field {path!r}", numbers, shape))
    return numbers


def _refuse_other_than_numbers(path: str, found: list[Any], kinds: tuple[type, ...]) -> None:
    """Refuse an array for the first thing in it that is neither a number nor an array, if there is one."""
    level: list[tuple[list[int], Any]] = [([], found)]
    for _ in range(DEEPEST_SHAPE):
        below: list[tuple[list[int], Any]] = []
        for position, item in level:
            if isinstance(item, list):
                below += [([*position, index], inner) for index, inner in enumerate(item)]
            elif type(item) not in kinds:
                what = in_words(item) + (" (how JavaScript writes NaN)" if item is None else "")
                refuse(
                    RejectReason.WRONG_DTYPE,
                    f"The field {path!r} has {what} at position {position}, expected numbers.",
                )
        level = below


def _refuse_shape(path: str, found: list[Any], shape: tuple[int, ...]) -> NoReturn:
    flat = f" or {math.prod(shape)} numbers in one flat array" if len(shape) > 1 else ""
    expected = f"expected {shape}{flat}"
    along: list[int] = []
    level = [found]
    for depth in range(DEEPEST_SHAPE):
        lengths = {len(item) for item in level}
        kinds = {isinstance(inner, list) for item in level for inner in item}
        if len(lengths) > 1 or len(kinds) > 1:
            refuse(
                RejectReason.WRONG_SHAPE,
                f"The field {path!r} is a ragged array at depth {depth + 1}, {expected}.",
            )
        along.append(lengths.pop())
        if kinds != {True}:
            refuse(RejectReason.WRONG_SHAPE, f"The field {path!r} has shape {tuple(along)}, {expected}.")
        level = [inner for item in level for inner in item]
    refuse(
        RejectReason.WRONG_SHAPE, f"The field {path!r} is nested more than {DEEPEST_SHAPE} deep, {expected}."
    )


def text_at(event: dict[str, Any], path: str) -> str | None:
    """Return the text or integer at ``path`` as text, None when nothing stands there."""
    found: str | int | None = lookup(event, path)
    if type(found) is int:
        return str(found)
    if found is not None and not isinstance(found, str):
        refuse(
            RejectReason.WRONG_DTYPE, f"The field {path!r} is {in_words(found)}, expected text or an integer."
        )
    if found is not None and not is_whole(found):
        refuse(
            RejectReason.UNDECODABLE,
            f"The field {path!r} has half of a surrogate pair or is not UTF-8, expected whole characters.",
        )
    return found


def is_whole(text: str) -> bool:
    """Tell whether a text can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def routing_text_at(event: dict[str, Any], path: str) -> str | None:
    """Return the text to route by at ``path``; what leads nowhere is absent and no fault."""
    found: Any = event
    for key in split_path(path):
        if not isinstance(found, dict) or (isinstance(found, ParsedObject) and key in found.repeated):
            return None
        found = found.get(key)
    # Half of a surrogate pair can be neither compared nor stored.
    return None if isinstance(found, str) and not is_whole(found) else routing_text(found)


def time_ms_at(event: dict[str, Any], path: str) -> int | None:
    """Return the time at ``path`` in milliseconds since 1970, None when nothing stands there."""
    found = lookup(event, path)
    if found is None:
        return None
    if type(found) is int and in_range_ms(found):
        return found
    if isinstance(found, str):
        times, readable = parse_times_ms([found])
        if readable[0]:
            return int(times[0])
    what = shown(found) if isinstance(found, (str, int, float)) else in_words(found)
    detail = f"The field {path!r} is {what}, expected {EXPECTED_TIME}."
    raise BadEventError(RejectReason.WRONG_DTYPE, detail)


def in_words(item: object) -> str:
    """Name a parsed value in words, with the value itself where it is short."""
    if item is None:
        return "null"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return f"the text {shown(item)}"
    if isinstance(item, (int, float)):
        return f"the number {shown(item)}"
    if isinstance(item, bytes):
        return f"{len(item)} bytes"
    return "an array" if isinstance(item, list) else "an object"
