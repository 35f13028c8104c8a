"""What becomes of requests without a response, and of responses without a request."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from monitor.config.settings import PAIRS
from monitor.dead_letters import DeadLetterSink, Delivery
from monitor.metrics.instruments import Instruments
from monitor.watch import Watch
from streams.codecs.pairs.codec import REMEMBERED_MS, waited_in_vain
from streams.events import RejectedEvent, RejectReason
from streams.kafka.returned_requests import ReturnedRequests
from streams.records import RecordBatch
from streams.state.pair_store import MOST_AT_ONCE, REQUEST, PairStore, UnpairedHalf
from streams.stored_records import StoredRecord, unpacked_record

log = logging.getLogger(__name__)

MOST_ROUNDS = 10
"""How many times ``MOST_AT_ONCE`` halves are looked for at once; the worker does nothing else meanwhile."""


class UnpairedHalves:
    """Looks for halves that no other came for in time.

    They go to the dead letters; but requests go to their topic again where monitors are to score them without
    a response. A half is settled only when that is delivered; if this worker does not live to see it, another
    one finds the half again and sends it once more. Of requests that are sent twice, one counts.

    Parameters
    ----------
    store
        Where halves wait; None if there is no such place.
    dead_letters
        Where they go.
    instruments
        Metrics of the worker.
    returned
        Sends requests again; None where that is not asked for.
    """

    def __init__(
        self,
        store: PairStore | None,
        dead_letters: DeadLetterSink,
        instruments: Instruments,
        returned: ReturnedRequests | None = None,
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._instruments = instruments
        self._returned = returned
        self._sent: dict[str, dict[str, list[Delivery]]] = {}

    def look(self, watches: Sequence[Watch]) -> None:
        """Settle the halves of which all is delivered that was sent, and send others.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now.
        KafkaError
            If something cannot be delivered.
        """
        if self._store is None:
            return
        for topic, ways in _ways(watches).items():
            for _ in range(MOST_ROUNDS):
                if self._give_up(self._store, topic, ways) < MOST_AT_ONCE:
                    break

    def _give_up(self, store: PairStore, topic: str, ways: _Ways) -> int:
        """Settle and send what is due in one topic; return how many halves were found."""
        sent = self._sent.setdefault(topic, {})
        settled = [name for name, deliveries in sent.items() if all(one.delivered for one in deliveries)]
        found = store.unpaired(topic, settled, REMEMBERED_MS)
        for name in settled:
            del sent[name]
        fresh = [half for half in found if half.name not in sent]
        known = [half for half in fresh if half.content]
        sent.update({half.name: [] for half in fresh})
        run = self._returned is not None and ways.run
        returned = [half for half in known if run and half.kind == REQUEST]
        self._return(topic, returned)
        self._reject(topic, ways.dead_letters, [half for half in known if not run or half.kind != REQUEST])
        if fresh:
            log.warning(
                "%d requests or responses of topic %r found no other half in time, such as the %s at %s;"
                " %d requests are sent again to be scored.",
                len(fresh),
                topic,
                fresh[0].kind,
                fresh[0].place,
                len(returned),
            )
        return len(found)

    def _return(self, topic: str, requests: Sequence[UnpairedHalf]) -> None:
        if self._returned is None or not requests:
            return
        for half, delivery in zip(requests, self._returned.send(_records(topic, requests)), strict=True):
            self._sent[topic][half.name].append(delivery)

    def _reject(self, topic: str, letters: set[str], halves: Sequence[UnpairedHalf]) -> None:
        records = _records(topic, halves)
        rejected = [
            RejectedEvent(row, RejectReason.UNPAIRED, waited_in_vain(half.event, half.kind))
            for row, half in enumerate(halves)
        ]
        self._instruments.read(topic, 0, rejected)
        for letter in sorted(letters):
            deliveries = self._dead_letters.send(letter, records, rejected)
            for half, delivery in zip(halves, deliveries, strict=True):
                self._sent[topic][half.name].append(delivery)


@dataclass
class _Ways:
    """What becomes of the unpaired halves of a topic."""

    dead_letters: set[str] = field(default_factory=set)
    """Dead-letter topics."""
    run: bool = False
    """Whether requests are scored without a response."""


def _ways(watches: Sequence[Watch]) -> Mapping[str, _Ways]:
    """Return what is to become of unpaired halves, for each topic that holds halves."""
    found: dict[str, _Ways] = {}
    for watch in watches:
        if watch.config.input.format == PAIRS:
            ways = found.setdefault(watch.config.input.topic, _Ways())
            ways.dead_letters.add(watch.config.dead_letters.topic)
            ways.run |= watch.config.input.runs_unpaired
    return found


def _records(topic: str, halves: Sequence[UnpairedHalf]) -> RecordBatch:
    return RecordBatch(topic, [_record(topic, half) for half in halves])


def _record(topic: str, half: UnpairedHalf) -> StoredRecord:
    partition, offset = map(int, half.place.split(":"))
    return unpacked_record(half.content, topic, partition, offset)
