"""The heart: a batch of records in, verdicts and alerts out.

Every way to run a monitor is a thin shell around this object, so that all give the same verdicts for the
same events. A batch goes through in two steps, since only the second can be held up by Redis: ``score``
decodes and scores, ``count`` puts the scores into windows and judges those that are full. ``count`` may be
called again for the same batch after a ``RedisUnavailableError``; what was counted is not counted twice.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from monitor.dead_letters import DeadLetterSink
from monitor.metrics.instruments import Instruments
from monitor.scores_topic import ScoresTopic
from monitor.stages import Stages
from monitor.stores.protocol import Stores
from monitor.topic_reader import readers
from monitor.unpaired import UnpairedHalves
from monitor.verdicts.discoveries import DiscoveryControl
from monitor.watch import Watch
from streams.events import RejectedEvent
from streams.kafka.commits import Mark, counter_tags
from streams.kafka.group_offsets import Partition
from streams.kafka.returned_requests import ReturnedRequests
from streams.records import RecordBatch
from streams.state.batches import Appended, Batch
from streams.state.exchanges import Exchange, in_step

AGE_CHECK_SECONDS = 1.0
"""How often windows are looked for that have reached their maximum age."""


@dataclass
class ScoredBatch:
    """A batch of one topic on its way into the windows.

    Attributes
    ----------
    topic
        Where it came from.
    next_offsets
        For each of its partitions, the offset after its last record.
    accepted, rejected
        Number of records that were scored, and of those sent to the dead letters.
    pending
        What is not counted yet, by monitor.
    """

    topic: str
    next_offsets: Mapping[int, int]
    accepted: int
    rejected: int
    pending: list[tuple[Watch, Batch]] = field(default_factory=list, repr=False)


class Pipeline:
    """All monitors of a worker.

    Parameters
    ----------
    watches
        The monitors.
    stores
        Where the monitors' state is kept.
    dead_letters
        Where rejected events go.
    claim_every_seconds
        How often windows are looked for that another worker left without a verdict.
    instruments
        Metrics of the worker.
    scores
        Sends the scores of monitors that are to; None to send none.
    codec_services
        What codecs may ask for beside their options, by name.
    returned
        Sends requests again that no response came for; None where there are none.

    Attributes
    ----------
    watches
        The monitors.
    stages
        How long decoding (``decode``), scoring (``model``), sorting scores into windows (``windows``), Redis
        (``redis``), and tests and alerts (``verdicts``) took so far.
    """

    def __init__(
        self,
        watches: Sequence[Watch],
        stores: Stores,
        dead_letters: DeadLetterSink,
        *,
        claim_every_seconds: float = 5.0,
        instruments: Instruments | None = None,
        scores: ScoresTopic | None = None,
        codec_services: Mapping[str, Any] | None = None,
        returned: ReturnedRequests | None = None,
    ) -> None:
        self._instruments = instruments or Instruments()
        self.stages = Stages(self._instruments.took)
        self._codec_services = codec_services or {}
        self._stores = stores
        self._discoveries: dict[float, DiscoveryControl] = {}
        self._dead_letters = dead_letters
        pairs = self._codec_services.get("pairs")
        self._unpaired = UnpairedHalves(pairs, dead_letters, self._instruments, returned)
        self._scores = scores
        self._claim_every = claim_every_seconds
        self._claim_at = self._age_at = 0.0
        self._next: dict[Partition, int] = {}
        self._depends: dict[tuple[str, Partition], int | None] = {}
        self.watch(watches)

    @property
    def topics(self) -> list[str]:
        """Topics to read."""
        return list(self._readers)

    def check(self, watches: Sequence[Watch]) -> None:
        """Look whether this pipeline could have these monitors.

        Raises
        ------
        ConfigError, CodecError
            If a monitor cannot read what its config says.
        """
        readers(watches, self._codec_services)

    def watch(self, watches: Sequence[Watch]) -> None:
        """Have these monitors from the next batch on, attached already unless ``attach`` follows.

        Those that are no more among them stop counting, and their state stays in Redis.
        """
        self._readers = readers(watches, self._codec_services)
        self.watches = list(watches)
        self._instruments.forget_others({watch.config.name: watch.config.input.topic for watch in watches})
        names = {watch.config.name for watch in watches}
        self._depends = {place: low for place, low in self._depends.items() if place[0] in names}
        self._discoveries = {
            q: self._discoveries.get(q) or DiscoveryControl(q, self._stores.discoveries(q))
            for q in {watch.config.test.fdr for watch in watches}
            if q is not None
        }

    @property
    def monitors(self) -> list[str]:
        """Names of the monitors."""
        return [watch.config.name for watch in self.watches]

    def attach(self) -> None:
        """Take what is in Redis as the truth; drop all that was held in memory."""
        self._depends.clear()
        self._next.clear()
        for watch in self.watches:
            watch.attach()

    def counted(self, partition: Partition) -> dict[str, int | None]:
        """Read, by monitor of a partition, the next offset that Redis has not counted; None for none.

        Raises
        ------
        StateLostError
            If Redis no longer holds the data set that this pipeline is attached to.
        """
        return {
            watch.config.name: watch.store.counted(partition.number) for watch in self._of(partition.topic)
        }

    def restart_counting(self, partition: Partition, monitors: Collection[str]) -> None:
        """Let monitors count a partition from scratch, because its topic was created anew."""
        for watch in self._of(partition.topic):
            if watch.config.name in monitors:
                watch.store.forget_progress(partition.number)

    def score(self, records: RecordBatch) -> ScoredBatch:
        """Decode and score a batch; rejected records are on their way to the dead letters then."""
        reading = self._readers[records.topic].read(records, self.stages)
        self._instruments.read(records.topic, len(records), reading.refused)
        for topic, events in reading.rejected.items():
            self._dead_letters.send(topic, records, events)
        for part in reading.parts:
            if part.watch.config.scores is not None and self._scores is not None:
                self._scores.send(part.watch.config.scores.topic, part, records)
        next_offsets = _next_offsets(records)
        lost = {topic: _places(records, events) for topic, events in reading.rejected.items()}
        pending = []
        for watch, rows, segments, _ in reading.parts:
            rejected = lost.get(watch.config.dead_letters.topic, ())
            pending.append((watch, Batch(rows, segments, next_offsets, rejected=rejected)))
        refused = len(reading.refused)
        return ScoredBatch(records.topic, next_offsets, len(records) - refused, refused, pending)

    def count(self, batch: ScoredBatch) -> None:
        """Put a batch into the windows, judge those that are full, and settle earlier verdicts.

        One pipelined round trip, unless another worker counts into the same segments at the same moment; one
        more where windows close of monitors that promise a false discovery rate.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; call again with the same batch.
        StateLostError
            If Redis holds less than was counted; the partitions must be read again.
        """
        while batch.pending:
            calls = []
            with self.stages.timed("windows"):
                for watch, part in batch.pending:
                    call = watch.store.append_call(part)
                    if call is not None:
                        calls.append((watch, part, call))
            with self.stages.timed("redis"):
                replies = self._settle_and_run([call for _, _, call in calls])
            batch.pending = []
            with self.stages.timed("verdicts"):
                for (watch, part, _), reply in zip(calls, replies, strict=True):
                    appended = watch.store.append_reply(part, reply)
                    if appended is None:
                        batch.pending.append((watch, part))
                        continue
                    self._note_dependencies(watch, appended.depends_on)
                    watch.use_reference(appended.reference)
                    watch.judge(appended.closed, appended.alert_states)
        self._decide()
        for watch in self._of(batch.topic):
            self._learn_dependencies(watch, batch)
        for number, offset in batch.next_offsets.items():
            self._next[Partition(batch.topic, number)] = offset

    def tick(self) -> None:
        """Do what does not depend on new events: settle, close aged windows, take over abandoned ones.

        Halves of events that have waited in vain for the other one go to the dead letters, or are returned.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now.
        StateLostError
            If Redis holds less than was counted; the partitions must be read again.
        """
        self.settle()
        self._learn_alerts()
        now = time.monotonic()
        if now >= self._age_at:
            self._age_at = now + AGE_CHECK_SECONDS
            self._judge_found([watch.store.aging() for watch in self.watches])
            self._unpaired.look(self.watches)
        if now >= self._claim_at:
            self._claim_at = now + self._claim_every
            self._judge_found([watch.store.claiming() for watch in self.watches])
        self._decide()

    def settle(self) -> None:
        """Settle verdicts whose alerts are delivered."""
        self._settle_and_run([])

    def unsettled(self) -> int:
        """Count verdicts that are not settled yet."""
        return sum(watch.ledger.unsettled() + len(watch.undecided) for watch in self.watches)

    def marks(self) -> dict[Partition, Mark]:
        """Positions to commit: how far each partition is counted, and from where that could be rebuilt."""
        marks = {}
        for partition, offset in self._next.items():
            names = [
                watch.config.name
                for watch in self._of(partition.topic)
                if (watch.config.name, partition) in self._depends
            ]
            lows = [low for name in names if (low := self._depends[name, partition]) is not None]
            marks[partition] = Mark(offset, min(lows, default=offset), counter_tags(names))
        return marks

    def release(self, partitions: Iterable[Partition]) -> None:
        """Forget the positions of partitions that are no longer this worker's."""
        for partition in partitions:
            self._next.pop(partition, None)
            for watch in self._of(partition.topic):
                self._depends.pop((watch.config.name, partition), None)

    def _of(self, topic: str) -> Sequence[Watch]:
        return self._readers[topic].members if topic in self._readers else ()

    def _learn_alerts(self) -> None:
        """Learn where segments stand whose verdicts wait for one of another worker."""
        waiting = [(watch, segments) for watch in self.watches if (segments := watch.ledger.waiting())]
        exchanges = [watch.store.reading_alerts(segments) for watch, segments in waiting]
        for (watch, _), stored in zip(waiting, in_step(exchanges, self._stores.run), strict=True):
            watch.ledger.learn(stored)

    def _judge_found(self, exchanges: Sequence[Exchange[Appended | None]]) -> None:
        """Judge the closed windows that an exchange for each of the monitors finds."""
        for watch, found in zip(self.watches, in_step(exchanges, self._stores.run), strict=True):
            if found is not None:
                watch.judge(found.closed, found.alert_states)

    def _decide(self) -> None:
        """Decide the windows that wait for it; those of all monitors that share a rate in one round trip."""
        for q, control in self._discoveries.items():
            waiting = [watch for watch in self.watches if watch.undecided and watch.config.test.fdr == q]
            if waiting:
                decided = iter(control.decide([window for watch in waiting for window in watch.undecided]))
                for watch in waiting:
                    watch.enter_decided(list(islice(decided, len(watch.undecided))))

    def _learn_dependencies(self, watch: Watch, batch: ScoredBatch) -> None:
        """Ask what windows hold of partitions whose records so far were all counted by a worker before."""
        unknown = [number for number in batch.next_offsets if self._place(watch, number) not in self._depends]
        if unknown:
            self._note_dependencies(watch, watch.store.depends_on(unknown))

    def _note_dependencies(self, watch: Watch, lows: Mapping[int, int | None]) -> None:
        for number, low in lows.items():
            self._depends[self._place(watch, number)] = low

    @staticmethod
    def _place(watch: Watch, number: int) -> tuple[str, Partition]:
        return watch.config.name, Partition(watch.config.input.topic, number)

    def _settle_and_run(self, calls: Sequence[Any]) -> list[Any]:
        """Run calls in one round trip with all settlements that are due, and return the calls' replies."""
        due = [(watch, found) for watch in self.watches if (found := watch.ledger.settlements())]
        settle_calls = [watch.store.settle_call(found) for watch, found in due]
        if not settle_calls and not calls:
            return []
        replies = self._stores.run([*settle_calls, *calls])
        for (watch, found), reply in zip(due, replies, strict=False):
            settled = watch.store.settle_reply(found, reply)
            watch.ledger.settled(found, settled.refused)
            # A window may span partitions that are another worker's; what it counts there is not seen here.
            own = self._depends.keys()
            lows = settled.depends_on.items()
            self._note_dependencies(watch, {n: low for n, low in lows if self._place(watch, n) in own})
        return replies[len(due) :]


def _next_offsets(records: RecordBatch) -> dict[int, int]:
    numbers, from_the_end = np.unique(records.partitions[::-1], return_index=True)
    # The last record of a partition comes last.
    offsets = records.offsets[len(records) - 1 - from_the_end] + 1
    return dict(zip(numbers.tolist(), offsets.tolist(), strict=True))


def _places(records: RecordBatch, rejected: Sequence[RejectedEvent]) -> list[tuple[int, int, str]]:
    """Partition, offset and reason of each rejected event."""
    rows = [event.row for event in rejected]
    reasons = [event.reason.value for event in rejected]
    return list(zip(records.partitions[rows].tolist(), records.offsets[rows].tolist(), reasons, strict=True))
