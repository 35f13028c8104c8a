"""Schemas by id, each fetched and prepared once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from streams.codecs.rejection import BadEventError
from streams.events import RejectReason
from streams.registry.client import RegisteredSchema, SchemaReference

Prepared = TypeVar("Prepared")

REFUSED_SECONDS = 10.0
"""How long an id stays refused before the registry is asked again: a replica may not know it yet."""
MOST_REFUSED = 1024
"""How many refused ids are remembered; garbage must not fill the memory."""


class SchemaSource(Protocol):
    """Where schemas come from: a registry's client, or a test's dict of them."""

    @property
    def url(self) -> str: ...  # noqa: D102

    def schema(self, identifier: int | UUID) -> RegisteredSchema | None:
        """Get a schema by its number or GUID; None when there is none."""
        ...

    def version(self, reference: SchemaReference) -> RegisteredSchema | None:
        """Get a schema that another one refers to; None when there is none."""
        ...


class SchemaCache(Generic[Prepared]):
    """What a codec makes of each schema; what an id means never changes.

    Parameters
    ----------
    source
        Where schemas come from.
    prepare
        Makes something of a schema, or raises ``BadEventError`` if events of it cannot be read.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        source: SchemaSource,
        prepare: Callable[[RegisteredSchema], Prepared],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._prepare = prepare
        self._clock = clock
        self._known: dict[int | UUID, Prepared] = {}
        self._refused: dict[int | UUID, tuple[float, BadEventError]] = {}

    def get(self, identifier: int | UUID) -> Prepared:
        """Return what was made of the schema with this id.

        Raises
        ------
        BadEventError
            If the registry has no such schema, or it is of no use here.
        SchemaRegistryError
            If the registry cannot be asked.
        """
        if identifier in self._known:
            return self._known[identifier]
        now = self._clock()
        until, refusal = self._refused.get(identifier, (now, None))
        if refusal is not None and until > now:
            raise BadEventError(refusal.reason, refusal.detail)
        try:
            prepared = self._prepare(self._fetch(identifier))
        except BadEventError as bad:
            if len(self._refused) >= MOST_REFUSED:
                self._refused.clear()
            self._refused[identifier] = now + REFUSED_SECONDS, bad
            raise
        self._known[identifier] = prepared
        return prepared

    def _fetch(self, identifier: int | UUID) -> RegisteredSchema:
        found = self._source.schema(identifier)
        if found is None:
            raise BadEventError(
                RejectReason.UNDECODABLE,
                f"The event was written with schema {identifier}, which the registry {self._source.url} does"
                " not have.",
            )
        return found
