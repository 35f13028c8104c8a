"""Format ``pairs``: requests and responses that are CloudEvents of their own, paired by their id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streams.codecs.half_events import EventWriter, HalfEvent, HalfReader
from streams.codecs.protocol import open_codec
from streams.codecs.rejection import BadEventError, shown
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.records import RecordBatch
from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import KINDS, REQUEST, Answer, Half, Meeting, PairStore, other_half
from streams.stored_records import packed_record, unpacked_record

LONGEST_WAIT_SECONDS = 86_400

REMEMBERED_MS = 600_000
"""How long it is remembered, at least, what became of an event: for records that a crash delivers again."""


class PairsCodec:
    """Decodes the requests and responses that a logger publishes as CloudEvents of one topic.

    A half waits in Redis for the other one, unless both are in one batch. The two make one event, at the
    place of the half that came second: a JSON object of the request's attributes, ``request`` and
    ``response``, read as ``data`` says.

    Parameters
    ----------
    schema
        What a valid event looks like; its size limit is that of a half and of both together.
    pairs
        Where halves wait.
    data
        Format of the event that two halves make.
    data_options
        Options of that format; for ``oip``, ``request`` and ``response`` are set.
    within_seconds
        How long a half waits for the other.

    Raises
    ------
    CodecError
        If an option is wrong.
    """

    def __init__(
        self,
        schema: EventSchema,
        *,
        pairs: PairStore | MemoryPairs,
        data: str = "oip",
        data_options: Mapping[str, Any] | None = None,
        within_seconds: float = 300,
    ) -> None:
        if type(within_seconds) not in (int, float) or not 0 < within_seconds <= LONGEST_WAIT_SECONDS:
            raise CodecError(
                f"The option 'within_seconds' is {within_seconds!r}, expected at most {LONGEST_WAIT_SECONDS}."
            )
        if data_options is not None and not isinstance(data_options, Mapping):
            raise CodecError(f"The option 'data_options' is {data_options!r}, expected names and values.")
        places = {kind: kind for kind in KINDS} if data == "oip" else {}
        self._codec = open_codec(data, schema, {**places, **(data_options or {})})
        self._halves = HalfReader(schema.max_bytes)
        self._events = EventWriter(schema)
        self._pairs = pairs
        self._within_ms = max(1, int(within_seconds * 1000))

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; decode the batch again.
        """
        found = self._sort(records)
        self._decide(records, found)
        complete = sorted(found.partners)
        values: list[bytes | None] = [self._event(found.halves[row], found.partners[row]) for row in complete]
        rows = np.array(complete, dtype=np.int64)
        # The headers are those of the envelope.
        events = self._codec.decode(records.take(rows).with_values(values, [[] for _ in complete]))
        found.rejected += [replace(event, row=complete[event.row]) for event in events.rejected]
        rows = rows[events.rows]
        return replace(
            events,
            records=records,
            rows=rows,
            ids=[found.halves[row].event for row in rows.tolist()],
            rejected=sorted(found.rejected, key=lambda event: event.row),
            waiting=found.waiting,
        )

    def _sort(self, records: RecordBatch) -> _Found:
        """Read all halves, and find those of one event among them."""
        found = _Found()
        halves, alone, met = found.halves, found.alone, found.met
        read = self._halves.read
        for row, (value, headers) in enumerate(zip(records.values, records.headers, strict=True)):
            try:
                half = halves[row] = read(value, headers)
            except BadEventError as bad:
                found.rejected.append(RejectedEvent(row, bad.reason, bad.detail))
                continue
            event = half.event
            first = alone.setdefault(event, row)
            if first == row:
                continue
            if event in met or halves[first].kind == half.kind:
                found.waiting.append(row)
            else:
                met[event] = first, row
        return found

    def _decide(self, records: RecordBatch, found: _Found) -> None:
        """Learn from Redis which halves complete their event."""
        places = records.partitions.tolist(), records.offsets.tolist()
        place = [f"{partition}:{offset}" for partition, offset in zip(*places, strict=True)]
        met, halves = list(found.met.values()), found.halves
        alone = [row for event, row in found.alone.items() if event not in found.met]
        meetings = [
            Meeting(event, halves[first].kind, place[first], place[second])
            for event, (first, second) in found.met.items()
        ]
        brought = [
            Half(halves[row].event, halves[row].kind, place[row], packed_record(records.messages[row]))
            for row in alone
        ]
        keep_ms = max(REMEMBERED_MS, self._within_ms)
        of_meetings, of_halves = self._pairs.bring(records.topic, meetings, brought, self._within_ms, keep_ms)
        for number, (first, second) in enumerate(met):
            if number in of_meetings:
                answers = of_meetings[number]
                self._take(found, first, answers[0], halves[second])
                self._take(found, second, answers[1], halves[first])
            else:
                found.waiting.append(first)
                found.partners[second] = halves[first]
        for number, row in enumerate(alone):
            if number in of_halves:
                self._take(found, row, of_halves[number])
            else:
                found.waiting.append(row)

    def _take(self, found: _Found, row: int, answer: Answer, beside: HalfEvent | None = None) -> None:
        """Take note of what becomes of a half; ``beside`` is the other one that is in the same batch."""
        if answer.outcome == "late":
            found.rejected.append(self._late(row, found.halves[row]))
        elif answer.outcome:
            found.waiting.append(row)
        elif beside is not None and not answer.other:
            found.partners[row] = beside
        else:
            stored = unpacked_record(answer.other)
            found.partners[row] = self._halves.read(stored.value(), stored.headers())

    def _event(self, half: HalfEvent, other: HalfEvent) -> bytes:
        return self._events.write(*((half, other) if half.kind == REQUEST else (other, half)))

    def _late(self, row: int, half: HalfEvent) -> RejectedEvent:
        waited = other_half(half.kind)
        detail = f"The {half.kind} {shown(half.event)} came too late: its {waited} had waited in vain."
        return RejectedEvent(row, RejectReason.UNPAIRED, detail)


@dataclass
class _Found:
    """What a batch holds, by row."""

    halves: dict[int, HalfEvent] = field(default_factory=dict)
    alone: dict[str, int] = field(default_factory=dict)
    """By event, the first half of it."""
    met: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By event, the first half and the first of the other kind, where there are both."""
    partners: dict[int, HalfEvent] = field(default_factory=dict)
    """By the half that completes an event, the other one."""
    waiting: list[int] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
