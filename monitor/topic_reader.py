"""From the records of one topic to scored rows for each of its monitors, with nothing done twice.

Monitors that expect the same events share the decoding; those of one detector share the scoring; those of
one route share their rows and segments. Monitors that expect different events may read one topic: an event is
rejected only when none of them can read and wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from monitor.errors import ConfigError
from monitor.routing import EventColumns, Mask, Place, RecordColumns
from monitor.stages import Stages
from monitor.watch import Watch
from streams.codecs.protocol import Codec, codec_class, open_codec
from streams.events import EventBatch, RejectedEvent, RejectReason
from streams.records import RecordBatch
from streams.state.windows import ScoredRows

NO_SERVICES: Mapping[str, Any] = MappingProxyType({})


class MonitorRows(NamedTuple):
    """What a batch holds for one monitor."""

    watch: Watch
    rows: ScoredRows
    segments: Sequence[str] | None
    """Segment of each row; None when all belong to the whole stream."""
    records: npt.NDArray[np.int64]
    """Record of each row in the batch, never decreasing."""


@dataclass(frozen=True)
class Reading:
    """What was read from a batch of records.

    Attributes
    ----------
    parts
        Rows of each monitor.
    rejected
        Rejected records by dead-letter topic, each by row.
    refused
        Rejected records, each once.
    """

    parts: Sequence[MonitorRows]
    rejected: Mapping[str, Sequence[RejectedEvent]]
    refused: Sequence[RejectedEvent]


def readers(watches: Sequence[Watch], codec_services: Mapping[str, Any]) -> dict[str, TopicReader]:
    """Make the reader of each topic that monitors read.

    Raises
    ------
    ConfigError, CodecError
        If a monitor cannot read what its config says.
    """
    by_topic: dict[str, list[Watch]] = {}
    for watch in watches:
        by_topic.setdefault(watch.config.input.topic, []).append(watch)
    return {topic: TopicReader(members, codec_services) for topic, members in by_topic.items()}


class TopicReader:
    """Decodes, routes and scores the records of one topic.

    Parameters
    ----------
    members
        Monitors of the topic.
    codec_services
        What codecs may ask for beside their options, by name.

    Attributes
    ----------
    members
        The same.

    Raises
    ------
    ConfigError
        If a monitor chooses events by a field and its format has none.
    """

    def __init__(self, members: Sequence[Watch], codec_services: Mapping[str, Any] = NO_SERVICES) -> None:
        self.members = members
        self._order = {watch: number for number, watch in enumerate(members)}
        self._groups = [_Group(alike, codec_services) for alike in _reading_alike(members)]
        self._places = sorted({place for watch in members for place, _ in watch.route.conditions}, key=str)
        self._dead_letters_of_unmatched = {
            watch.config.dead_letters.topic for watch in members if watch.config.input.unmatched == "reject"
        }

    def read(self, records: RecordBatch, stages: Stages) -> Reading:
        """Decode, route and score a batch; ``stages`` times ``decode`` and ``model``."""
        columns = RecordColumns(records)
        with stages.timed("decode"):
            decoded = [group.decode(records, columns) for group in self._groups]
        accepted = np.zeros(len(records), dtype=np.bool_)
        parts: list[MonitorRows] = []
        for one in decoded:
            accepted[one.record_rows[one.wanted]] = True
            accepted[one.waiting] = True
            with stages.timed("model"):
                parts += one.parts()
        for part in parts:
            part.watch.note_scores(part.rows.scores)
        rejected: dict[str, dict[int, RejectedEvent]] = {}
        if not accepted.all():
            refused: set[int] = set()
            for one in decoded:
                lost = {event.row: event for event in one.rejected if not accepted[event.row]}
                refused |= lost.keys()
                for topic in one.group.dead_letters:
                    rejected[topic] = lost | rejected.get(topic, {})
            if self._dead_letters_of_unmatched:
                rows = set(np.flatnonzero(~accepted).tolist()) - refused
                unmatched = {row: self._unmatched(row, columns, decoded) for row in rows}
                for topic in self._dead_letters_of_unmatched:
                    rejected[topic] = rejected.get(topic, {}) | unmatched
        by_topic = {
            topic: [events[row] for row in sorted(events)] for topic, events in rejected.items() if events
        }
        return Reading(
            sorted(parts, key=lambda part: self._order[part.watch]),
            by_topic,
            list({event.row: event for events in by_topic.values() for event in events}.values()),
        )

    def _unmatched(self, row: int, columns: RecordColumns, decoded: Sequence[_Decoded]) -> RejectedEvent:
        """Reject an event that nobody wants, and say what stands where the monitors look."""
        found = []
        for place in self._places:
            if place.on_record:
                found.append(f"{place} {columns.column(place).texts[row]!r}")
            else:
                found += [f"{place} {text!r}" for one in decoded for text in one.texts(place, row)][:1]
        detail = f"No monitor of this topic watches events with {' and '.join(found)}."
        return RejectedEvent(row, RejectReason.UNKNOWN_MODEL, detail)


class _Group:
    """Monitors that expect the same events."""

    def __init__(self, members: Sequence[Watch], codec_services: Mapping[str, Any]) -> None:
        self.members = members
        self.dead_letters = {watch.config.dead_letters.topic for watch in members}
        self._codec = _codec(members, codec_services)
        self._record_conditions = {watch.route.record_conditions for watch in members}

    def decode(self, records: RecordBatch, columns: RecordColumns) -> _Decoded:
        """Decode the records that one of the monitors may want."""
        rows = np.arange(len(records), dtype=np.int64)
        chosen = _any_of(columns.mask(conditions) for conditions in self._record_conditions)
        if chosen is not None and not chosen.all():
            rows = rows[chosen]
            records = records.take(rows)
        return _Decoded(self, self._codec.decode(records), rows)


class _Decoded:
    """A batch as one group of monitors reads it."""

    def __init__(self, group: _Group, events: EventBatch, taken: npt.NDArray[np.int64]) -> None:
        self.group = group
        self.columns = EventColumns(events)
        self.rejected = [replace(event, row=int(taken[event.row])) for event in events.rejected]
        self.waiting = taken[list(events.waiting)]
        self.record_rows: npt.NDArray[np.int64] = taken[events.rows]
        self._events = events
        self._masks = {
            watch.route.conditions: self.columns.mask(watch.route.conditions) for watch in group.members
        }
        chosen = _any_of(self._masks.values())
        self.wanted: Mask = np.ones(len(events), dtype=np.bool_) if chosen is None else chosen

    def parts(self) -> Iterator[MonitorRows]:
        """Score what the monitors want, once for each detector."""
        by_detector: dict[object, list[Watch]] = {}
        for watch in self.group.members:
            by_detector.setdefault(watch.scoring, []).append(watch)
        segments: dict[object, Sequence[str] | None] = {}
        for sharing in by_detector.values():
            wanted = _any_of(self._masks[watch.route.conditions] for watch in sharing)
            if wanted is not None and wanted.all():
                wanted = None
            scored = self._scored(sharing[0], wanted)
            rows: dict[object, ScoredRows] = {}
            for watch in sharing:
                route = watch.route
                if route not in segments:
                    segments[route] = self._segments(watch)
                mask = self._masks[route.conditions]
                if route.conditions not in rows:
                    within = mask if mask is None or wanted is None else mask[wanted]
                    rows[route.conditions] = scored if within is None else scored.take(within)
                taken = self.record_rows if mask is None else self.record_rows[mask]
                yield MonitorRows(watch, rows[route.conditions], segments[route], taken)

    def texts(self, place: Place, row: int) -> list[str | None]:
        """Return what stands at a place of a record; nothing if it was not decoded here."""
        at = int(np.searchsorted(self.record_rows, row))
        known = at < len(self.record_rows) and self.record_rows[at] == row
        return [self.columns.column(place).texts[at]] if known else []

    def _scored(self, watch: Watch, wanted: Mask | None) -> ScoredRows:
        events = self._events
        if wanted is not None:
            events = events.take(wanted)
        records = events.records
        return ScoredRows(
            scores=watch.score(events),
            partitions=records.partitions[events.rows],
            offsets=records.offsets[events.rows],
            times_ms=events.times_ms,
            rows=np.arange(len(events)),
            ids=events.ids,
        )

    def _segments(self, watch: Watch) -> Sequence[str] | None:
        place = watch.route.segment
        if place is None:
            return None
        column = self.columns.column(place)
        mask = self._masks[watch.route.conditions]
        return column.segments if mask is None else [column.segments[row] for row in np.flatnonzero(mask)]


def _reading_alike(members: Sequence[Watch]) -> list[list[Watch]]:
    """Group monitors by the events that they expect, which may differ in the fields to route by."""
    groups: list[tuple[object, list[Watch]]] = []
    for watch in members:
        expected = (watch.config.input.encoding, watch.schema)
        for known, alike in groups:
            if known == expected:
                alike.append(watch)
                break
        else:
            groups.append((expected, [watch]))
    return [alike for _, alike in groups]


def _codec(members: Sequence[Watch], services: Mapping[str, Any]) -> Codec:
    first = members[0]
    format_name, options = first.config.input.encoding
    others = sorted({path for watch in members for path in watch.route.fields})
    if others and not getattr(codec_class(format_name), "reads_other_fields", False):
        watch = next(watch for watch in members if watch.route.fields)
        raise ConfigError(
            f"Monitor {watch.config.name!r} routes by field {min(watch.route.fields)!r}, but events in format"
            f" {format_name!r} have no fields to look at; route by key or header."
        )
    return open_codec(format_name, replace(first.schema, others=tuple(others)), options, services)


def _any_of(masks: Iterable[Mask | None]) -> Mask | None:
    """Join masks; None, which stands for all rows, wins."""
    known: list[Mask] = []
    for mask in masks:
        if mask is None:
            return None
        known.append(mask)
    joined: Mask = np.logical_or.reduce(known)
    return joined
