"""What pydantic found wrong with a config, as sentences with line numbers and advice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor.config import Config
from monitor.config.faults import Fault, KeyPath, dotted, nearest, quoted_choice
from monitor.config.section import SectionError
from monitor.config.yaml_text import Document

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list",
}
_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda bounds: f"must be greater than {bounds['gt']}",
    "greater_than_equal": lambda bounds: f"must be at least {bounds['ge']}",
    "less_than": lambda bounds: f"must be less than {bounds['lt']}",
    "less_than_equal": lambda bounds: f"must be at most {bounds['le']}",
    "finite_number": lambda _: "must be a finite number",
    "too_short": lambda _: "must list at least one entry",
}


def validation_faults(error: ValidationError, document: Document) -> Iterator[Fault]:
    """Put every error of a failed validation of `Config` into words.

    Parameters
    ----------
    error
        What `Config.model_validate` raised.
    document
        The document that was validated.

    Yields
    ------
    Fault
        Faults in pydantic's order. Values are described by their type and never repeated, because any of
        them could be a secret that stands in the wrong place.
    """
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and details["input"]:
            continue  # The entries are there; each is listed with its own fault.
        path: KeyPath = details["loc"]
        for place, sentence in _explained(path, details, document):
            yield Fault(document.line_of(place), f"{dotted(place)} {sentence}", place)


def _explained(path: KeyPath, details: ErrorDetails, document: Document) -> Iterator[tuple[KeyPath, str]]:
    kind, context, found = details["type"], details.get("ctx", {}), details["input"]
    cause = context.get("error")
    if isinstance(cause, SectionError):
        for inner, sentence in cause.faults:
            yield (*path, *inner), sentence
    elif kind == "value_error":
        yield path, str(cause)
    elif kind == "extra_forbidden":
        yield path, _unknown_key(path)
    elif kind == "missing":
        yield path, f"is missing{_purpose(path)}"
    elif kind in _EXPECTED:
        yield path, f"must be {_EXPECTED[kind]}, not {_described(found, path, document)}"
    elif kind == "literal_error":
        yield path, _no_choice(path, found)
    elif kind in _BOUNDS:
        yield path, _BOUNDS[kind](context)
    else:
        yield path, f"is refused: {details['msg']}"


def _unknown_key(path: KeyPath) -> str:
    section = _annotation(path[:-1])
    known = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
    meant = nearest(str(path[-1]), known)
    if meant:
        return f"is not a known key; did you mean '{meant}'?"
    return f"is not a known key; known here are {', '.join(known)}"


def _purpose(path: KeyPath) -> str:
    section, key = _annotation(path[:-1]), path[-1]
    if isinstance(section, type) and issubclass(section, BaseModel) and key in section.model_fields:
        description = (section.model_fields[str(key)].description or "").split(";")[0].rstrip(".")
        return f": {description[:1].lower()}{description[1:]}" if description else ""
    return ""


def _no_choice(path: KeyPath, found: object) -> str:
    choices = [choice for choice in get_args(_annotation(path)) if isinstance(choice, str)]
    meant = nearest(found, choices) if isinstance(found, str) else None
    advice = f"; did you mean '{meant}'?" if meant else ""
    return f"must be {quoted_choice(choices)}{advice}"


def _described(found: object, path: KeyPath, document: Document) -> str:
    if found is None:
        return "empty"
    if isinstance(found, str):
        if path in document.from_environment:
            return "text (an environment variable always gives text)"
        return "text (write numbers and true or false without quotes)" if _number_like(found) else "text"
    names = {bool: "true or false", int: "a whole number", float: "a number with a point", list: "a list"}
    return names.get(type(found), "a mapping")


def _number_like(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("true", "false")
    return True


def _annotation(path: KeyPath) -> Any:
    """Find the type that the config declares at a place; None where it declares none."""
    declared: Any = Config
    for part in path:
        if isinstance(part, int):
            declared = get_args(declared)[0] if get_origin(declared) is tuple else None
        elif isinstance(declared, type) and issubclass(declared, BaseModel) and part in declared.model_fields:
            declared = _without_none(declared.model_fields[part].annotation)
        else:
            return None
    return declared


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, UnionType):
        return next(member for member in get_args(annotation) if member is not type(None))
    return annotation
