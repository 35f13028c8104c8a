"""The schemas that a schema uses, fetched from the registry."""

from __future__ import annotations

from typing import NoReturn

from streams.codecs.registered.schema_cache import SchemaSource
from streams.codecs.rejection import BadEventError
from streams.events import RejectReason
from streams.registry.client import RegisteredSchema, SchemaReference

MOST_REFERENCES = 1000
"""How many schemas one may use, directly or not."""


def used_schemas(registered: RegisteredSchema, source: SchemaSource) -> list[RegisteredSchema]:
    """Fetch all schemas that one uses, each behind those that it uses itself.

    Raises
    ------
    BadEventError
        If one of them is missing, or there are too many.
    SchemaRegistryError
        If the registry cannot be asked.
    """
    fetched: dict[SchemaReference, RegisteredSchema] = {}

    def fetch(references: tuple[SchemaReference, ...]) -> None:
        for reference in references:
            if reference in fetched or reference in pending:
                continue
            if len(fetched) + len(pending) >= MOST_REFERENCES:
                _refuse(f"uses more than {MOST_REFERENCES} others")
            found = source.version(reference)
            if found is None:
                _refuse(
                    f"uses version {reference.version} of subject {reference.subject!r}, which the registry"
                    f" {source.url} does not have"
                )
            pending.add(reference)
            fetch(found.references)
            pending.discard(reference)
            fetched[reference] = found

    pending: set[SchemaReference] = set()
    fetch(registered.references)
    return list(fetched.values())


def _refuse(fault: str) -> NoReturn:
    raise BadEventError(RejectReason.UNDECODABLE, f"The schema that the event was written with {fault}.")
