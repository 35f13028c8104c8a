"""Format ``pairs``: requests and responses that are CloudEvents of their own, paired by their id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from operator import itemgetter, ne
from typing import Any, TypeVar

import numpy as np

from streams.codecs.half_events import EventWriter, HalfColumns, HalfReader
from streams.codecs.merged_batches import merged
from streams.codecs.protocol import Codec, open_codec
from streams.codecs.rejection import shown
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.records import RecordBatch
from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import (
    KINDS,
    REQUEST,
    RETURNED,
    Answer,
    Answers,
    Halves,
    Meetings,
    PairStore,
    other_half,
)
from streams.stored_records import packed_records

LONGEST_WAIT_SECONDS = 86_400
REJECT, RUN = UNPAIRED_WAYS = ("reject", "run")
"""What becomes of a request that no response came for."""

REMEMBERED_MS = 600_000
"""How long it is remembered, at least, what became of an event: for records that a crash delivers again."""

_MANY_ALONE = 0.1
"""Share of halves that are alone in a batch from which on headers are kept as they are read: later, when they
have left the processor's cache, that costs several times as much."""

_T = TypeVar("_T")
_FIRST, _SECOND = itemgetter(0), itemgetter(1)


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
    unpaired
        What becomes of a request that has waited in vain: ``reject``; or ``run``, if it is sent again, with
        the header ``RETURNED_FROM``, and is then an event without a prediction.

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
        unpaired: str = REJECT,
    ) -> None:
        if type(within_seconds) not in (int, float) or not 0 < within_seconds <= LONGEST_WAIT_SECONDS:
            raise CodecError(
                f"The option 'within_seconds' is {within_seconds!r}, expected at most {LONGEST_WAIT_SECONDS}."
            )
        if data_options is not None and not isinstance(data_options, Mapping):
            raise CodecError(f"The option 'data_options' is {data_options!r}, expected names and values.")
        if unpaired not in UNPAIRED_WAYS:
            raise CodecError(f"The option 'unpaired' is {unpaired!r}, expected 'reject' or 'run'.")
        options = {**({kind: kind for kind in KINDS} if data == "oip" else {}), **(data_options or {})}
        self._codec = open_codec(data, schema, options)
        self._of_requests = None
        if unpaired == RUN:
            self._of_requests = open_codec(data, replace(schema, prediction_required=False), options)
        self._events = EventWriter(schema)
        self._halves = HalfReader(schema.max_bytes, self._events.attributes)
        self._pairs = pairs
        self._within_ms = max(1, int(within_seconds * 1000))
        self._keeps_headers = False
        self._asking = ThreadPoolExecutor(1, "pairs")

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; decode the batch again.
        """
        halves = self._halves.read_all(records.values, records.headers, keep=self._keeps_headers)
        if self._of_requests is None:
            self._reject_returned(halves)
        found = _sorted(halves)
        self._keeps_headers = len(found.alone) > _MANY_ALONE * len(records)
        asked = self._ask(records, halves, found)
        # Redis decides while those are decoded that have met; hardly ever does it say anything of them.
        events = self._decode(records, halves, found.met)
        answers = asked.result()
        if answers.of_meetings:
            met = self._learn_of_meetings(halves, found, answers.of_meetings)
            events = self._decode(records, halves, met)
        else:
            found.waiting += map(_FIRST, found.met)
        late, unpaired = self._learn_of_halves(halves, found, answers)
        if late or unpaired:
            parts = [events] if found.met else []
            parts.append(self._decode(records, halves, late))
            if self._of_requests is not None:
                parts.append(self._decode_requests(records, halves, unpaired, self._of_requests))
            every = np.arange(len(records), dtype=np.int64)
            events = merged(records, *((part, every) for part in parts)) if len(parts) > 1 else parts[0]
        rejected = sorted([*halves.rejected, *events.rejected], key=lambda event: event.row)
        return replace(events, rejected=rejected, waiting=found.waiting)

    def _decode(
        self, records: RecordBatch, halves: HalfColumns, pairs: Sequence[tuple[int, int]]
    ) -> EventBatch:
        """Decode events: of each, the rows of the other half and of the one that completes it."""
        complete, others = list(map(_SECOND, pairs)), list(map(_FIRST, pairs))
        data, second_kinds = halves.data, _at(halves.kinds, complete)
        requests, responses = others, complete
        if second_kinds.count(REQUEST) == len(pairs):
            requests, responses = complete, others
        elif REQUEST in second_kinds:
            ordered = [
                pair[::-1] if kind == REQUEST else pair
                for pair, kind in zip(pairs, second_kinds, strict=True)
            ]
            requests, responses = [first for first, _ in ordered], [second for _, second in ordered]
        values = self._events.write_all(
            [_at(column, requests) for column in halves.attributes],
            _at(data, requests),
            _at(data, responses),
        )
        return self._decode_events(records, halves, complete, values, self._codec)

    def _decode_requests(
        self, records: RecordBatch, halves: HalfColumns, requests: Sequence[int], codec: Codec
    ) -> EventBatch:
        """Decode events that have no response."""
        told = [_at(column, requests) for column in halves.attributes]
        values = self._events.write_all(told, _at(halves.data, requests), None)
        return self._decode_events(records, halves, requests, values, codec)

    @staticmethod
    def _decode_events(
        records: RecordBatch,
        halves: HalfColumns,
        complete: Sequence[int],
        values: list[bytes | None],
        codec: Codec,
    ) -> EventBatch:
        rows = np.array(complete, dtype=np.int64)
        # The headers are those of the envelope.
        events = codec.decode(records.take(rows).with_values(values, [[]] * len(complete)))
        rows = rows[events.rows]
        return replace(
            events,
            records=records,
            rows=rows,
            ids=_at(halves.events, rows.tolist()),
            rejected=[replace(event, row=complete[event.row]) for event in events.rejected],
        )

    def _ask(self, records: RecordBatch, halves: HalfColumns, found: _Found) -> Future[Answers]:
        """Ask which halves complete their event."""
        places = zip(records.partitions.tolist(), records.offsets.tolist(), strict=True)
        place = list(map("%d:%d".__mod__, places))
        events, kinds, alone = halves.events, halves.kinds, found.alone
        firsts, seconds = list(map(_FIRST, found.met)), list(map(_SECOND, found.met))
        meetings = Meetings(_at(events, firsts), _at(kinds, firsts), _at(place, firsts), _at(place, seconds))
        returned = set(halves.returned)
        brought = Halves(
            _at(events, alone),
            [RETURNED if row in returned else kinds[row] for row in alone],
            _at(place, alone),
            *packed_records(
                [records.messages[row].key() for row in alone],
                _at(records.headers, alone) if halves.kept is None else halves.kept.take(alone),
                [records.values[row] or b"" for row in alone],
            ),
        )
        keep_ms = max(REMEMBERED_MS, self._within_ms)
        return self._asking.submit(
            self._pairs.bring, records.topic, meetings, brought, self._within_ms, keep_ms
        )

    def _learn_of_meetings(
        self, halves: HalfColumns, found: _Found, answers: Mapping[int, tuple[Answer, Answer]]
    ) -> list[tuple[int, int]]:
        """Take note of what becomes of halves that have met; return those that complete an event."""
        pairs: list[tuple[int, int]] = []
        stored: dict[int, bytes] = {}
        for number, (first, second) in enumerate(found.met):
            if number not in answers:
                found.waiting.append(first)
                pairs.append((first, second))
                continue
            for row, beside, answer in zip((first, second), (second, first), answers[number], strict=True):
                if answer.outcome:
                    self._leave(halves, found, row, answer.outcome)
                elif answer.other:
                    stored[row] = answer.other
                else:
                    pairs.append((beside, row))
        return sorted([*pairs, *self._beside_stored(halves, stored)], key=itemgetter(1))

    def _learn_of_halves(
        self, halves: HalfColumns, found: _Found, answers: Answers
    ) -> tuple[list[tuple[int, int]], list[int]]:
        """Take note of what becomes of halves that are alone.

        Returns those that complete an event, and requests that are one without a response.
        """
        alone, completing, refused = found.alone, answers.completing, answers.refused
        stored = {alone[number]: content for number, content in completing.items() if content}
        unpaired = [alone[number] for number, content in completing.items() if not content]
        for number, outcome in refused.items():
            self._leave(halves, found, alone[number], outcome)
        if len(completing) + len(refused) < len(alone):
            settled = completing.keys() | refused.keys()
            found.waiting += [row for number, row in enumerate(alone) if number not in settled]
        return self._beside_stored(halves, stored), sorted(unpaired)

    def _reject_returned(self, halves: HalfColumns) -> None:
        """Reject requests that another worker, or another config, had sent again to be scored."""
        for row in halves.returned:
            if event := halves.events[row]:
                detail = waited_in_vain(event, halves.kinds[row])
                halves.rejected.append(RejectedEvent(row, RejectReason.UNPAIRED, detail))
                halves.events[row] = ""
        halves.returned.clear()

    def _leave(self, halves: HalfColumns, found: _Found, row: int, outcome: str) -> None:
        """Take note of a half that completes no event."""
        if outcome == "late":
            halves.rejected.append(self._late(row, halves.events[row], halves.kinds[row]))
        else:
            found.waiting.append(row)

    def _beside_stored(self, halves: HalfColumns, stored: Mapping[int, bytes]) -> list[tuple[int, int]]:
        """Put stored halves behind those of the batch, and each beside the row that it belongs to."""
        start, rows = len(halves.data), sorted(stored)
        attributes, data = self._halves.read_stored([stored[row] for row in rows])
        halves.data.extend(data)
        for column, further in zip(halves.attributes, attributes, strict=True):
            column.extend(further)
        return list(enumerate(rows, start))

    def _late(self, row: int, event: str, kind: str) -> RejectedEvent:
        waited = other_half(kind)
        detail = f"The {kind} {shown(event)} came too late: its {waited} had waited in vain."
        return RejectedEvent(row, RejectReason.UNPAIRED, detail)


def _at(column: Sequence[_T], rows: Sequence[int]) -> list[_T]:
    """Return what a column holds in some rows."""
    return list(map(column.__getitem__, rows))


def waited_in_vain(event: str, kind: str) -> str:
    """Say so of a half, for its dead letter."""
    return f"The {kind} {shown(event)} waited in vain for its {other_half(kind)}."


@dataclass
class _Found:
    """What becomes of the halves of a batch, by row."""

    met: list[tuple[int, int]]
    """The first half of an event, and the first of the other kind."""
    alone: Sequence[int]
    """Halves of other events, and requests that were sent again."""
    waiting: list[int]


def _sorted(halves: HalfColumns) -> _Found:
    """Find those halves that are of one event."""
    events, kinds, count = halves.events, halves.kinds, len(halves.events)
    first_of = dict(zip(reversed(events), range(count - 1, -1, -1), strict=True))
    met = [(first, row) for row, first in enumerate(map(first_of.__getitem__, events)) if first < row]
    firsts, kind_of = {first for first, _ in met}, kinds.__getitem__
    kinds_differ = map(ne, map(kind_of, map(_FIRST, met)), map(kind_of, map(_SECOND, met)))
    if halves.returned or "" in first_of or len(firsts) < len(met) or not all(kinds_differ):
        return _sorted_one_by_one(halves)
    alone = [row for row in first_of.values() if row not in firsts] if 2 * len(met) < count else []
    alone.reverse()
    return _Found(met, alone, [])


def _sorted_one_by_one(halves: HalfColumns) -> _Found:
    """Find them where not all records hold halves, or some are copies."""
    kinds, first_of, returned = halves.kinds, dict[str, int](), set(halves.returned)
    met: dict[str, tuple[int, int]] = {}
    copies = []
    for row, event in enumerate(halves.events):
        if not event or row in returned:
            continue
        if event not in first_of:
            first_of[event] = row
        elif event in met or kinds[first_of[event]] == kinds[row]:
            copies.append(row)
        else:
            met[event] = first_of[event], row
    alone = [row for event, row in first_of.items() if event not in met]
    alone += [row for row in halves.returned if halves.events[row]]
    return _Found(list(met.values()), alone, copies)
