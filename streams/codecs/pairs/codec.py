"""Format ``pairs``: requests and responses that are CloudEvents of their own, paired by their id."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np

from streams.codecs.merged_batches import merged
from streams.codecs.pairs.half_events import HalfColumns, HalfReader, at_rows
from streams.codecs.pairs.met_halves import MetHalves, meet
from streams.codecs.pairs.pair_events import PairEvents
from streams.codecs.rejection import shown
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.parts import places
from streams.records import RecordBatch
from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import (
    KINDS,
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
        self._runs_unpaired = unpaired == RUN
        self._events = PairEvents(schema, data, options)
        self._halves = HalfReader(schema.max_bytes, self._events.attributes)
        self._pairs = pairs
        self._within_ms = max(1, int(within_seconds * 1000))
        self._asking = ThreadPoolExecutor(1, "pairs")

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; decode the batch again.
        """
        halves = self._halves.read_all(records.values, records.headers)
        if not self._runs_unpaired:
            self._reject_returned(halves)
        found = meet(halves)
        asked = self._ask(records, halves, found)
        # Redis decides while those are decoded that have met; hardly ever does it say anything of them.
        events = self._events.of_pairs(records, halves, found.met)
        answers = asked.result()
        if answers.of_meetings:
            met = self._learn_of_meetings(halves, found, answers.of_meetings)
            events = self._events.of_pairs(records, halves, met)
        else:
            found.waiting += map(_FIRST, found.met)
        late, unpaired = self._learn_of_halves(halves, found, answers)
        if late or unpaired:
            parts = [events] if found.met else []
            parts.append(self._events.of_pairs(records, halves, late))
            if unpaired:
                parts.append(self._events.of_requests(records, halves, unpaired))
            every = np.arange(len(records), dtype=np.int64)
            events = merged(records, *((part, every) for part in parts)) if len(parts) > 1 else parts[0]
        rejected = sorted([*halves.rejected, *events.rejected], key=lambda event: event.row)
        return replace(events, rejected=rejected, waiting=found.waiting)

    def _ask(self, records: RecordBatch, halves: HalfColumns, found: MetHalves) -> Future[Answers]:
        """Ask which halves complete their event."""
        place = places(records.partitions, records.offsets)
        events, kinds, alone = halves.events, halves.kinds, found.alone
        firsts, seconds = list(map(_FIRST, found.met)), list(map(_SECOND, found.met))
        meetings = Meetings(
            at_rows(events, firsts), at_rows(kinds, firsts), at_rows(place, firsts), at_rows(place, seconds)
        )
        returned = set(halves.returned)
        brought = Halves(
            at_rows(events, alone),
            [RETURNED if row in returned else kinds[row] for row in alone],
            at_rows(place, alone),
            *packed_records(
                at_rows(records.keys, alone),
                at_rows(records.headers, alone),
                [records.values[row] or b"" for row in alone],
            ),
        )
        keep_ms = max(REMEMBERED_MS, self._within_ms)
        return self._asking.submit(
            self._pairs.bring, records.topic, meetings, brought, self._within_ms, keep_ms
        )

    def _learn_of_meetings(
        self, halves: HalfColumns, found: MetHalves, answers: Mapping[int, tuple[Answer, Answer]]
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
        self, halves: HalfColumns, found: MetHalves, answers: Answers
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

    def _leave(self, halves: HalfColumns, found: MetHalves, row: int, outcome: str) -> None:
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


def waited_in_vain(event: str, kind: str) -> str:
    """Say so of a half, for its dead letter."""
    return f"The {kind} {shown(event)} waited in vain for its {other_half(kind)}."
