"""How far the partitions that are read have been counted, and how much of that is committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from monitor.config import Config
from monitor.metrics.instruments import Instruments
from monitor.pipeline import Pipeline, ScoredBatch
from monitor.rejections import RejectionLimit
from monitor.starts import Starts
from streams.errors import KafkaError
from streams.kafka.commits import Mark
from streams.kafka.group_offsets import GroupOffsets, Partition
from streams.kafka.producer import Sender
from streams.records import RecordBatch

log = logging.getLogger(__name__)

DELIVERY_SECONDS = 3.0
"""How long a commit waits for dead letters, and the end for alerts; what is not delivered is sent again."""

Patiently: TypeAlias = Callable[[Callable[[], None]], None]
"""Carries out an action that an outage may hold up, as often as it takes."""


class Positions:
    """Counts records, and knows by partition where that stands and what of it the group has committed.

    Parameters
    ----------
    config
        The config.
    pipeline
        Its monitors.
    offsets
        What the group has committed, and what the partitions hold.
    sender
        Sends dead letters, which are delivered before their offsets are committed.
    instruments
        Metrics; the positions are told there too.

    Attributes
    ----------
    next
        The next offset to count of each partition that is read.
    """

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        offsets: GroupOffsets,
        sender: Sender,
        instruments: Instruments,
    ) -> None:
        self.next = instruments.positions
        self._pipeline = pipeline
        self._offsets = offsets
        self._sender = sender
        self._instruments = instruments
        self._starts = Starts(config, pipeline, offsets, instruments)
        self._rejections = RejectionLimit(
            config.worker.max_rejected_fraction, config.worker.max_rejected_over_events
        )
        self._marks: dict[Partition, Mark] = {}
        self._committed: dict[Partition, Mark] = {}

    def take_up(self, partitions: Collection[Partition], *, state_lost: bool = False) -> None:
        """Find where partitions go on; where they were committed if the state is lost, until ``recover``.

        Raises
        ------
        KafkaUnavailableError, RedisUnavailableError, StateLostError, MonitorError
            As ``Starts.start``.
        """
        for partition, mark in self._offsets.committed(sorted(partitions)).items():
            if mark is not None:
                self._marks[partition] = self._committed[partition] = mark
            if state_lost:
                self.next[partition] = mark.offset if mark else 0
            else:
                self.next[partition] = self._starts.start(partition, mark)

    def commit_beginnings(self, *, wait: bool) -> None:
        """Commit where reading begins of partitions that nothing was committed of.

        What is rejected is known by no one else than the commit that is not made yet, so that a commit has to
        tell where reading began; and a partition without one is known to be new.
        """
        begun = {p: Mark(start, start) for p, start in self.next.items() if p not in self._marks}
        self._marks.update(begun)
        self.commit(begun, wait=wait)

    def count(self, records: RecordBatch, patiently: Patiently) -> None:
        """Score records and put them into the windows, which may have to wait for a schema or for Redis."""
        scored: list[ScoredBatch] = []
        patiently(lambda: scored.append(self._pipeline.score(records)))
        batch = scored[0]
        patiently(lambda: self._pipeline.count(batch))
        for number, offset in batch.next_offsets.items():
            partition = Partition(records.topic, number)
            self.next[partition] = offset
            self._instruments.read_until_ms[partition] = records.last_timestamp_ms(number)
        self._rejections.note(records.topic, batch.accepted, batch.rejected)

    def start_again(self, partition: Partition) -> int:
        """Return where a partition goes on that may not hold, or not hold any more, what comes next."""
        position = self.next[partition]
        return self._starts.start(partition, Mark(position, position))

    def recover(self, patiently: Patiently) -> None:
        """Find where all partitions go on from what Redis still holds, after it has lost something."""
        self._instruments.state_losses.inc()
        # What was committed may be older, or nothing yet; the pipeline knows from where all can be rebuilt.
        self._marks.update(self._pipeline.marks())

        def locate() -> None:
            self._pipeline.attach()
            for partition, position in self.next.items():
                self.next[partition] = self._starts.start(partition, self._marks.get(partition), position)

        patiently(locate)

    def admit(self, monitors: Collection[str]) -> None:
        """Let monitors that were not watched before begin where the others stand."""
        for partition, position in self.next.items():
            counted = self._pipeline.counted(partition)
            joining = {name: counted[name] for name in monitors if name in counted}
            if joining:
                self._starts.admit(partition, joining, position, self._offsets.bounds(partition)[1])

    def commit(self, partitions: Iterable[Partition] | None = None, *, wait: bool) -> None:
        """Commit what is counted of partitions, by default of all, unless it is committed already."""
        self._marks.update(self._pipeline.marks())
        chosen = self.next if partitions is None else partitions
        fresh = {p: self._marks[p] for p in chosen if self._marks.get(p) != self._committed.get(p)}
        if not fresh:
            return
        try:
            with self._pipeline.stages.timed("commit"):
                self._sender.flush(DELIVERY_SECONDS)
                self._offsets.commit(fresh, wait=wait)
        except KafkaError as error:
            self._instruments.kafka_errors.inc()
            log.warning("%s The offsets are committed next time.", error)
        else:
            self._committed.update(fresh)

    def release(self, partitions: Collection[Partition]) -> None:
        """Forget partitions that others read now."""
        self._pipeline.release(partitions)
        for partition in partitions:
            for known in (self.next, self._marks, self._committed, self._instruments.read_until_ms):
                known.pop(partition, None)
