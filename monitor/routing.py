"""Routing: which monitors want which events, and to which segment an event belongs, on columns of texts.

Each column that a monitor asks for is coded once a batch: every distinct text gets a number. What a monitor
chooses is then one comparison of numbers, so that a hundred monitors of one topic cost little more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from monitor.config import MonitorConfig
from streams.events import EventBatch
from streams.parts import header_columns
from streams.records import RecordBatch

WHOLE_STREAM = "all"
"""Segment of a monitor that has no segments, and of events that name none."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Place:
    """Where a text stands by which events are routed.

    Attributes
    ----------
    kind
        The record's key, a header, the event's model or segment, or any other field of the event.
    name
        Name of the header, or path of the field.
    """

    kind: Literal["key", "header", "model", "segment", "field"]
    name: str = ""

    @property
    def on_record(self) -> bool:
        """Whether it can be read without decoding the event."""
        return self.kind in ("key", "header")

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}" if self.name else self.kind


@dataclass(frozen=True)
class Route:
    """What a monitor watches, and how its traffic is split. Monitors of equal routes share their rows.

    Attributes
    ----------
    conditions
        Places and the texts that must stand there; all of them.
    segment
        Where the segment's name stands; None for the whole stream.
    """

    conditions: frozenset[tuple[Place, str]]
    segment: Place | None

    @classmethod
    def of(cls, config: MonitorConfig) -> Route:
        """Return the route of a monitor."""
        where = config.input.where
        conditions: dict[Place, str | None] = {
            Place("model"): where.model or config.input.model,
            Place("key"): where.key,
            **{Place("header", name): text for name, text in where.header.items()},
            **{Place("field", path): text for path, text in where.field.items()},
        }
        return cls(
            frozenset((place, text) for place, text in conditions.items() if text is not None),
            _segment_place(config.segment_by),
        )

    @cached_property
    def record_conditions(self) -> frozenset[tuple[Place, str]]:
        """The conditions that are known before an event is decoded."""
        return frozenset(condition for condition in self.conditions if condition[0].on_record)

    @property
    def places(self) -> set[Place]:
        """All places that it needs."""
        chosen = {place for place, _ in self.conditions}
        return chosen if self.segment is None else {*chosen, self.segment}

    @property
    def fields(self) -> set[str]:
        """Paths of fields that a codec has to read for it."""
        return {place.name for place in self.places if place.kind == "field"}


class TextColumn:
    """A column of texts, length n, with every distinct text numbered."""

    def __init__(self, texts: Sequence[str | None]) -> None:
        self.texts = texts

    @cached_property
    def _numbers(self) -> dict[str | None, int]:
        return {text: number for number, text in enumerate(dict.fromkeys(self.texts))}

    @cached_property
    def _codes(self) -> npt.NDArray[np.int64]:
        numbers = self._numbers
        return np.fromiter((numbers[text] for text in self.texts), np.int64, len(self.texts))

    def equals(self, text: str) -> Mask:
        """Tell which rows hold a text, as a mask of shape (n,)."""
        if text not in self._numbers:
            return np.zeros(len(self.texts), dtype=np.bool_)
        found: Mask = self._codes == self._numbers[text]
        return found

    @cached_property
    def segments(self) -> list[str]:
        """The texts as names of segments; where there is none, it is the whole stream."""
        return [WHOLE_STREAM if text is None else text for text in self.texts]


class RecordColumns:
    """The columns of records by which they are routed, each read when first asked for.

    Parameters
    ----------
    records
        Records, length n.
    """

    def __init__(self, records: RecordBatch) -> None:
        self._records = records
        self._columns: dict[Place, TextColumn] = {}

    def column(self, place: Place) -> TextColumn:
        """Return the texts at a place that is ``on_record``."""
        if place not in self._columns:
            if place.kind == "key":
                texts = [_text(key) for key in self._records.keys]
            else:
                (contents,) = header_columns(self._records.headers, (place.name,))
                texts = [_text(content) for content in contents]
            self._columns[place] = TextColumn(texts)
        return self._columns[place]

    def mask(self, conditions: frozenset[tuple[Place, str]]) -> Mask | None:
        """Tell which records fulfil conditions, as a mask of shape (n,); None for all."""
        return _all_of([self.column(place).equals(text) for place, text in conditions])


class EventColumns:
    """The columns of decoded events by which they are routed.

    Parameters
    ----------
    events
        Events, n instances.
    """

    def __init__(self, events: EventBatch) -> None:
        self._events = events
        self._records = RecordColumns(events.records)
        self._columns: dict[Place, TextColumn] = {}

    def column(self, place: Place) -> TextColumn:
        """Return the texts at a place, one for each instance."""
        if place not in self._columns:
            self._columns[place] = TextColumn(self._texts(place))
        return self._columns[place]

    def mask(self, conditions: frozenset[tuple[Place, str]]) -> Mask | None:
        """Tell which instances fulfil conditions, as a mask of shape (n,); None for all."""
        return _all_of([self.column(place).equals(text) for place, text in conditions])

    def _texts(self, place: Place) -> Sequence[str | None]:
        events = self._events
        if place.on_record:
            texts = self._records.column(place).texts
            return [texts[row] for row in events.rows.tolist()]
        found = {"model": events.models, "segment": events.segments}.get(place.kind)
        if place.kind == "field":
            found = events.others.get(place.name)
        return [None] * len(events) if found is None else found


def _segment_place(rule: str) -> Place | None:
    kind, _, name = rule.partition(":")
    if kind == "field":
        return Place("field", name) if name else Place("segment")
    if kind == "header":
        return Place("header", name)
    return Place("key") if kind == "key" else None


def _all_of(masks: Sequence[Mask]) -> Mask | None:
    if not masks:
        return None
    both: Mask = np.logical_and.reduce(masks)
    return both


def _text(raw: bytes | None) -> str | None:
    return raw.decode("utf-8", errors="backslashreplace") if raw else None
