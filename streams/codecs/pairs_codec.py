"""Format ``pairs``: requests and responses that are CloudEvents of their own, paired by their id."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from streams.codecs.half_events import EventWriter, HalfColumns, HalfEvent, HalfReader
from streams.codecs.protocol import open_codec
from streams.codecs.rejection import shown
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
        halves = self._halves.read_all(records.values, records.headers)
        found = _sorted(halves)
        self._decide(records, halves, found)
        complete = sorted(found.partners)
        values: list[bytes | None] = [self._event(halves, row, found.partners[row]) for row in complete]
        rows = np.array(complete, dtype=np.int64)
        # The headers are those of the envelope.
        events = self._codec.decode(records.take(rows).with_values(values, [[]] * len(complete)))
        rejected = halves.rejected + [replace(event, row=complete[event.row]) for event in events.rejected]
        rows = rows[events.rows]
        return replace(
            events,
            records=records,
            rows=rows,
            ids=[halves.events[row] for row in rows.tolist()],
            rejected=sorted(rejected, key=lambda event: event.row),
            waiting=found.waiting,
        )

    def _decide(self, records: RecordBatch, halves: HalfColumns, found: _Found) -> None:
        """Learn from Redis which halves complete their event."""
        places = zip(records.partitions.tolist(), records.offsets.tolist(), strict=True)
        place = [f"{partition}:{offset}" for partition, offset in places]
        events, kinds, waiting = halves.events, halves.kinds, found.waiting
        meetings = [
            Meeting(events[first], kinds[first] or "", place[first], place[second])
            for first, second in found.met
        ]
        brought = [
            Half(events[row], kinds[row] or "", place[row], packed_record(records.messages[row]))
            for row in found.alone
        ]
        keep_ms = max(REMEMBERED_MS, self._within_ms)
        of_meetings, of_halves = self._pairs.bring(records.topic, meetings, brought, self._within_ms, keep_ms)
        for number, (first, second) in enumerate(found.met):
            if number in of_meetings:
                answers = of_meetings[number]
                self._take(halves, found, first, answers[0], second)
                self._take(halves, found, second, answers[1], first)
            else:
                waiting.append(first)
                found.partners[second] = first
        for number, row in enumerate(found.alone):
            if number in of_halves:
                self._take(halves, found, row, of_halves[number])
            else:
                waiting.append(row)

    def _take(
        self, halves: HalfColumns, found: _Found, row: int, answer: Answer, beside: int | None = None
    ) -> None:
        """Take note of what becomes of a half; ``beside`` is the other one that is in the same batch."""
        if answer.outcome == "late":
            halves.rejected.append(self._late(row, halves.half(row)))
        elif answer.outcome:
            found.waiting.append(row)
        elif beside is not None and not answer.other:
            found.partners[row] = beside
        else:
            stored = unpacked_record(answer.other)
            found.partners[row] = self._halves.read(stored.value(), stored.headers())

    def _event(self, halves: HalfColumns, row: int, other: int | HalfEvent) -> bytes:
        """Write the event that a half completes, the other one being in the batch or stored."""
        if isinstance(other, int):
            told, data = halves.attributes[other], halves.data[other]
        else:
            told, data = other.attributes, other.data
        if halves.kinds[row] == REQUEST:
            return self._events.write(halves.attributes[row], halves.data[row], data)
        return self._events.write(told, data, halves.data[row])

    def _late(self, row: int, half: HalfEvent) -> RejectedEvent:
        waited = other_half(half.kind)
        detail = f"The {half.kind} {shown(half.event)} came too late: its {waited} had waited in vain."
        return RejectedEvent(row, RejectReason.UNPAIRED, detail)


@dataclass
class _Found:
    """What becomes of the halves of a batch, by row."""

    met: list[tuple[int, int]]
    """The first half of an event, and the first of the other kind."""
    alone: Collection[int]
    """Halves of other events."""
    waiting: list[int]
    partners: dict[int, int | HalfEvent] = field(default_factory=dict)
    """By the half that completes an event, the other one: its row, or what was stored of it."""


def _sorted(halves: HalfColumns) -> _Found:
    """Find those halves that are of one event."""
    kinds, first_of = halves.kinds, dict[str, int]()
    met: dict[str, tuple[int, int]] = {}
    copies = []
    for row, event in enumerate(halves.events):
        if not event:
            continue
        if event not in first_of:
            first_of[event] = row
        elif event in met or kinds[first_of[event]] == kinds[row]:
            copies.append(row)
        else:
            met[event] = first_of[event], row
    alone = [row for event, row in first_of.items() if event not in met]
    return _Found(list(met.values()), alone, copies)
