"""What the monitor does with the records that a Faust app hands it, all in one thread of its own.

Faust's own account of what was processed is not relied upon. It may acknowledge events that no agent has
seen (skipped in a rebalance, or undecodable for another agent of the topic), and it cannot carry the low
watermark. So the monitor knows by itself what comes next in every partition. It skips what was counted, and
what Faust does not hand over it reads from Kafka. Its marks are committed for the config's group, as a
worker's are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress

import numpy as np

from monitor.config import Config
from monitor.config.kafka_properties import for_consumer
from monitor.metrics.instruments import Instruments
from monitor.patience import AbandonedError, Patience
from monitor.pipeline import Pipeline
from monitor.positions import DELIVERY_SECONDS, Positions
from monitor.reload import Reloader
from streams.errors import KafkaError
from streams.kafka.group_offsets import Partition
from streams.kafka.partition_reader import PartitionReader
from streams.kafka.producer import Sender
from streams.records import RecordBatch
from streams.state.redis_connection import RedisUnavailableError
from streams.state.window_store import StateLostError

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How often partitions are asked for records of which Faust has handed over nothing meanwhile."""


class Intake:
    """Counts the records of an app's partitions.

    All methods but ``abandon`` are called from one thread.

    Parameters
    ----------
    config
        The config.
    pipeline
        Its monitors.
    sender
        Sends alerts and dead letters.
    instruments
        Metrics, kept by the pipeline too.
    stopping
        Set when the app stops; ends all waiting.
    reloader
        Looks after the config file; None when it is read only once.
    """

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        sender: Sender,
        instruments: Instruments,
        stopping: threading.Event,
        reloader: Reloader | None = None,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._sender = sender
        self._instruments = instruments
        self._reader = PartitionReader(for_consumer(config.kafka.properties))
        self._positions = Positions(config, pipeline, self._reader, sender, instruments)
        self._patience = Patience(stopping, instruments.held_up)
        self._reloader = reloader
        self._assigned: Collection[Partition] = ()
        self._idle: dict[Partition, int] = {}
        self._rebalances = 0
        self._attached = False
        self._commit_at = 0.0
        self._look_at = time.monotonic() + IDLE_SECONDS

    def abandon(self) -> None:
        """Drop what waits for Redis or Kafka, since partitions are being moved; callable from any thread."""
        self._rebalances += 1

    def assigned(self, partitions: Collection[Partition]) -> None:
        """Go on in these partitions, and in no others, from where their counting stands."""
        self._instruments.rebalances.inc()
        self._assigned = partitions
        self._positions.release([one for one in self._positions.next if one not in partitions])
        # They may be moved again meanwhile.
        with suppress(AbandonedError):
            self._take_up(self._watched())
            self._idle.clear()
            self._instruments.pulse.joined = True

    def revoked(self, partitions: Collection[Partition]) -> None:
        """Commit what is counted of these partitions, and give them up."""
        self._positions.commit(wait=True)
        self._positions.release(partitions)
        self._assigned = [one for one in self._assigned if one not in partitions]

    def take(self, batches: Iterable[RecordBatch]) -> None:
        """Count records; what is abandoned is found missing later."""
        with suppress(AbandonedError):
            for records in batches:
                if records.topic not in self._pipeline.topics:
                    continue
                self._through_losses(lambda records=records: self._take(records))  # type: ignore[misc]

    def turn(self) -> None:
        """Do what does not depend on new records: settle verdicts, commit, look for what is missing."""
        self._instruments.pulse.beat()
        self._reader.poll()
        if not self._attached:
            return
        try:
            self._through_losses(lambda: self._patiently(self._pipeline.tick))
            self._through_losses(self._take_up_config)
            now = time.monotonic()
            if now >= self._look_at:
                self._look_at = now + IDLE_SECONDS
                self._through_losses(self._look_for_missing)
        except AbandonedError:
            return
        if now >= self._commit_at:
            self._commit_at = now + self._config.worker.commit_interval_seconds
            self._positions.commit(wait=False)
            self._instruments.unsettled.set(self._pipeline.unsettled())

    def close(self) -> None:
        """Settle and commit what can be, and close the connections."""
        try:
            self._sender.flush(DELIVERY_SECONDS)
            if self._attached:
                self._pipeline.settle()
        except (KafkaError, RedisUnavailableError, StateLostError) as error:
            log.warning("%s Unsettled windows are left to another worker.", error)
        if self._positions.next and self._reader.answers_for(next(iter(self._positions.next))):
            self._positions.commit(wait=True)
        self._reader.close()

    def _watched(self) -> list[Partition]:
        return [one for one in self._assigned if one.topic in self._pipeline.topics]

    def _take_up(self, partitions: Collection[Partition]) -> None:
        def locate() -> None:
            if not self._attached:
                self._pipeline.attach()
                self._attached = True
            self._positions.take_up(partitions)

        self._through_losses(lambda: self._patiently(locate))
        self._positions.commit_beginnings(wait=False)

    def _take_up_config(self) -> None:
        """Put a changed config in force, and read the topics that it names, as far as the app reads them."""
        if self._reloader is None or not self._reloader.take_up(
            self._pipeline, self._positions, self._sender, self._patiently
        ):
            return
        watched = self._watched()
        ended = [one for one in self._positions.next if one not in watched]
        self._positions.commit(ended, wait=False)
        self._positions.release(ended)
        self._take_up([one for one in watched if one not in self._positions.next])

    def _take(self, records: RecordBatch) -> None:
        known, holes = self._compare(records)
        if len(known):
            with self._instruments.batch.time():
                self._positions.count(known, self._patiently)
        for partition, end in holes.items():
            self._catch_up(partition, end)

    def _compare(self, records: RecordBatch) -> tuple[RecordBatch, dict[Partition, int]]:
        """Find what comes next of each partition, and up to where partitions have a hole before that."""
        chosen = []
        holes: dict[Partition, int] = {}
        for number in np.unique(records.partitions).tolist():
            partition = Partition(records.topic, number)
            position = self._positions.next.get(partition)
            if position is None:
                continue
            rows = np.flatnonzero(records.partitions == number)
            # After a rebalance Faust repeats itself.
            offsets, first = np.unique(records.offsets[rows], return_index=True)
            fresh = offsets >= position
            if not fresh.any():
                continue
            if int(offsets[-1]) - position + 1 == np.count_nonzero(fresh):
                chosen.append(rows[first[fresh]])
            else:
                holes[partition] = int(offsets[-1]) + 1
        if len(chosen) == 1 and len(chosen[0]) == len(records):
            return records, holes
        rows = np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)
        return records.take(rows), holes

    def _catch_up(self, partition: Partition, end: int) -> None:
        """Read from Kafka, and count, what comes next of a partition up to an offset."""

        def read() -> None:
            start = self._positions.start_again(partition)
            stretch = self._reader.read(partition, start, end, self._config.worker.batch_size)
            with closing(stretch):
                for records in stretch:
                    self._instruments.pulse.beat()
                    self._positions.count(records, self._patiently)
            self._positions.next[partition] = end

        log.debug("Reading up to offset %d of %s[%d] from Kafka.", end, *partition)
        self._patiently(read)

    def _look_for_missing(self) -> None:
        """Read what has not come of partitions that have been idle since the last look."""
        for partition, position in list(self._positions.next.items()):
            if self._idle.get(partition) == position:
                _, end = self._bounds(partition)
                if end != position:
                    self._catch_up(partition, end)
            self._idle[partition] = self._positions.next[partition]

    def _bounds(self, partition: Partition) -> tuple[int, int]:
        found: list[tuple[int, int]] = []
        self._patiently(lambda: found.append(self._reader.bounds(partition)))
        return found[0]

    def _through_losses(self, action: Callable[[], None]) -> None:
        """Carry out an action, anew after Redis has turned out to hold less than was counted."""
        while True:
            try:
                return action()
            except StateLostError as error:
                log.warning("%s Reading again what the lost windows held.", error)
                self._positions.recover(self._patiently)

    def _patiently(self, action: Callable[[], None]) -> None:
        rebalances = self._rebalances

        def check() -> None:
            if self._rebalances != rebalances:
                raise AbandonedError

        self._patience.carry_out(action, check)
