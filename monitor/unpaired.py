"""Requests without a response, and responses without a request, go to the dead letters."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from monitor.dead_letters import DeadLetterSink, Delivery
from monitor.metrics.instruments import Instruments
from monitor.watch import Watch
from streams.codecs.pairs_codec import REMEMBERED_MS
from streams.codecs.rejection import shown
from streams.events import RejectedEvent, RejectReason
from streams.records import RecordBatch
from streams.state.pair_store import PairStore, UnpairedHalf, other_half
from streams.stored_records import StoredRecord, unpacked_record

log = logging.getLogger(__name__)

FORMAT = "pairs"


class UnpairedHalves:
    """Looks for halves that no other came for in time.

    A half is settled only when its dead letters are delivered; if this worker does not live to see that,
    another one finds the half again and sends them once more.

    Parameters
    ----------
    store
        Where halves wait; None if there is no such place.
    dead_letters
        Where they go.
    instruments
        Metrics of the worker.
    """

    def __init__(
        self, store: PairStore | None, dead_letters: DeadLetterSink, instruments: Instruments
    ) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._instruments = instruments
        self._sent: dict[str, dict[str, list[Delivery]]] = {}

    def look(self, watches: Sequence[Watch]) -> None:
        """Settle the halves whose dead letters are delivered, and send those of others.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now.
        KafkaError
            If a dead letter cannot be delivered.
        """
        if self._store is None:
            return
        for topic, letters in _dead_letter_topics(watches).items():
            sent = self._sent.setdefault(topic, {})
            settled = [name for name, deliveries in sent.items() if all(one.delivered for one in deliveries)]
            found = self._store.unpaired(topic, settled, REMEMBERED_MS)
            for name in settled:
                del sent[name]
            fresh = [half for half in found if half.name not in sent]
            known = [half for half in fresh if half.content]
            sent.update({half.name: [] for half in fresh})
            self._reject(topic, letters, known)
            if fresh:
                log.warning(
                    "%d requests or responses of topic %r found no other half in time, such as the %s at %s.",
                    len(fresh),
                    topic,
                    fresh[0].kind,
                    fresh[0].place,
                )

    def _reject(self, topic: str, letters: Sequence[str], halves: Sequence[UnpairedHalf]) -> None:
        records = RecordBatch(topic, [_record(topic, half) for half in halves])
        rejected = [
            RejectedEvent(row, RejectReason.UNPAIRED, _detail(half)) for row, half in enumerate(halves)
        ]
        self._instruments.read(topic, 0, rejected)
        for letter in letters:
            deliveries = self._dead_letters.send(letter, records, rejected)
            for half, delivery in zip(halves, deliveries, strict=True):
                self._sent[topic][half.name].append(delivery)


def _record(topic: str, half: UnpairedHalf) -> StoredRecord:
    partition, offset = map(int, half.place.split(":"))
    return unpacked_record(half.content, topic, partition, offset)


def _detail(half: UnpairedHalf) -> str:
    return f"The {half.kind} {shown(half.event)} waited in vain for its {other_half(half.kind)}."


def _dead_letter_topics(watches: Sequence[Watch]) -> Mapping[str, list[str]]:
    """Return the dead-letter topics of each topic that holds halves."""
    found: dict[str, set[str]] = {}
    for watch in watches:
        if watch.config.input.format == FORMAT:
            found.setdefault(watch.config.input.topic, set()).add(watch.config.dead_letters.topic)
    return {topic: sorted(letters) for topic, letters in found.items()}
