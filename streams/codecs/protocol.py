"""What a codec is, and how one is found by name and given its options."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any, Protocol

from streams.entry_points import installed
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch

CODEC_ENTRY_POINT_GROUP = "drift_monitor.codecs"

SERVICES = ("schema_registry", "pairs")
"""What a codec may ask for beside its options: a ``streams.registry.client.SchemaRegistryClient``, and a
``streams.state.pair_store.PairStore``."""


class Codec(Protocol):
    """Turns records into columns. Constructed once per input with the schema its events must match.

    Options of its own are keyword-only parameters of its constructor, ``def __init__(self, schema, *, url)``,
    which raises ``CodecError`` with one sentence for a value that is wrong. Their names are checked for it.
    A codec that reads ``EventSchema.others`` has a class attribute ``reads_other_fields`` that is true;
    monitors cannot route by fields in other formats.
    Keyword-only parameters that ``SERVICES`` names are no options: they receive what the worker has of it.
    """

    def __init__(self, schema: EventSchema) -> None: ...

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        ...


def codec_class(name: str) -> type[Codec]:
    """Find a codec class by the name its entry point has in group ``drift_monitor.codecs``.

    Raises
    ------
    CodecError
        If no installed package offers a codec of that name, or what it needs is not installed.
    """
    found = installed(CODEC_ENTRY_POINT_GROUP)
    if name not in found:
        known = ", ".join(found)
        raise CodecError(f"There is no event format {name!r}; installed formats are: {known}.")
    try:
        codec: type[Codec] = found[name].load()
    except ImportError as error:
        raise CodecError(
            f"The event format {name!r} cannot be used: {error}.{_install_advice(found[name])}"
        ) from error
    return codec


def open_codec(
    name: str, schema: EventSchema, options: Mapping[str, Any], services: Mapping[str, Any] | None = None
) -> Codec:
    """Make the codec of a format.

    Parameters
    ----------
    name
        Name of the format.
    schema
        What a valid event looks like.
    options
        The codec's own options by name.
    services
        What there is of ``SERVICES``, by name.

    Raises
    ------
    CodecError
        If there is no such format, it lacks a service, or it refuses the schema or an option.
    """
    codec = codec_class(name)
    fault = option_fault(name, codec, options)
    if fault is not None:
        raise CodecError(fault)
    available = services or {}
    for service in needed_services(codec) - available.keys():
        raise CodecError(f"The format {name!r} needs a {service}, and there is none.")
    taken = {service: available[service] for service in _parameters(codec) if service in available}
    return codec(schema, **options, **taken)


def needed_services(codec: type[Codec]) -> set[str]:
    """Name the services without which a codec cannot be made."""
    return {
        name
        for name, parameter in _parameters(codec).items()
        if name in SERVICES and parameter.default is parameter.empty
    }


def option_fault(name: str, codec: type[Codec], options: Mapping[str, Any]) -> str | None:
    """Say which option a format does not have or lacks; None when the names are right."""
    parameters = inspect.signature(codec).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    own = {name: parameter for name, parameter in _parameters(codec).items() if name not in SERVICES}
    for option in options:
        if option not in own:
            meant = difflib.get_close_matches(str(option), own, n=1)
            advice = f"; did you mean {meant[0]!r}?" if meant else ""
            known = f"its options are: {', '.join(own)}" if own else "it has none"
            return f"The format {name!r} has no option {option!r}; {known}{advice or '.'}"
    missing = [option for option, p in own.items() if p.default is p.empty and option not in options]
    return f"The format {name!r} needs the option {missing[0]!r}." if missing else None


def _parameters(codec: type[Codec]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(codec).parameters
    return {name: found for name, found in parameters.items() if found.kind is found.KEYWORD_ONLY}


def _install_advice(point: EntryPoint) -> str:
    if point.dist is None or not point.extras:
        return ""
    return f" Install it with: pip install '{point.dist.name}[{','.join(point.extras)}]'"
