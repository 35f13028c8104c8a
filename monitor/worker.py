"""The deployed worker: reads Kafka, runs the pipeline, commits what is counted.

The loop is one thread. Offsets are committed only after Redis holds what they stand for; a worker that stops
at any point leaves nothing that the next one cannot find.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from monitor.batch_sizes import BatchSize
from monitor.config import Config
from monitor.config.kafka_properties import for_consumer
from monitor.garbage import GarbageBetweenBatches
from monitor.metrics.instruments import Instruments
from monitor.patience import AbandonedError, Patience
from monitor.pipeline import Pipeline
from monitor.positions import DELIVERY_SECONDS, Positions
from monitor.reload import Reloader
from streams.errors import KafkaError
from streams.kafka.consumer import BatchConsumer
from streams.kafka.group_offsets import Partition
from streams.kafka.producer import DeliveryConfirmedProducer
from streams.state.redis_connection import RedisUnavailableError
from streams.state.window_store import StateLostError

log = logging.getLogger(__name__)

IDLE_SECONDS = 0.05
"""How long to wait for events before looking after alerts, windows that age, and a changed config."""


class Worker:
    """Reads the input topics of a config until told to stop.

    Parameters
    ----------
    config
        The config.
    pipeline
        Its monitors.
    producer
        Sends alerts and dead letters.
    reloader
        Looks after the config file; None when it is read only once.
    instruments
        Metrics, kept by the pipeline too.
    endpoint
        Entered while the worker runs: what serves the metrics.
    """

    def __init__(
        self,
        config: Config,
        pipeline: Pipeline,
        producer: DeliveryConfirmedProducer,
        instruments: Instruments,
        endpoint: AbstractContextManager[object] | None = None,
        reloader: Reloader | None = None,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._producer = producer
        self._stopping = threading.Event()
        self._instruments = instruments
        self._endpoint = nullcontext() if endpoint is None else endpoint
        self._reloader = reloader
        self._patience = Patience(self._stopping, instruments.held_up)
        self._batch_size = BatchSize(config.worker.batch_size)
        self._garbage = GarbageBetweenBatches()
        self._rebalances = 0
        self._paused = False
        self._state_lost = False
        self._gave_up = False
        self._commit_at = 0.0
        self._consumer: BatchConsumer
        self._positions: Positions

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds spent so far in each stage of the loop; those of the pipeline, and waiting for Kafka."""
        return self._pipeline.stages.seconds

    def stop(self) -> None:
        """Ask the worker to finish what is in hand and return from ``run``; callable from any thread."""
        self._stopping.set()

    def reload(self) -> None:
        """Ask the worker to take up its config file anew; callable from any thread."""
        if self._reloader is not None:
            self._reloader.ask()

    def run(self) -> None:
        """Work until ``stop`` is called.

        Raises
        ------
        MonitorError, StreamError
            If something is wrong that waiting does not mend.
        """
        with self._endpoint, self._garbage:
            self._run()

    def _run(self) -> None:
        try:
            self._patience.carry_out(self._pipeline.attach)
        except AbandonedError:
            return
        self._consumer = BatchConsumer(
            for_consumer(self._config.kafka.properties),
            self._pipeline.topics,
            on_assigned=self._assigned,
            on_revoked=self._revoked,
            on_lost=self._lost,
            on_error=self._instruments.kafka_errors.inc,
        )
        self._positions = Positions(
            self._config, self._pipeline, self._consumer, self._producer, self._instruments
        )
        try:
            while not self._stopping.is_set():
                self._turn()
        finally:
            self._shut_down()

    def _turn(self) -> None:
        settings = self._config.worker
        self._instruments.pulse.beat()
        self._garbage.look()
        try:
            if self._state_lost:
                self._recover()
            with self._pipeline.stages.timed("fetch"):
                polled = self._consumer.poll(
                    self._batch_size.records, IDLE_SECONDS, settings.batch_wait_ms / 1000
                )
            self._batch_size.learn(polled)
            for records in polled:
                # Of a topic that is no longer watched a few records may still arrive.
                if records.topic in self._pipeline.topics:
                    with self._instruments.batch.time():
                        self._positions.count(records, self._patiently)
            if self._consumer.out_of_reach:
                self._find_place_again()
            self._producer.poll()
            self._patiently(self._pipeline.tick)
            if self._reloader is not None and self._reloader.take_up(
                self._pipeline, self._positions, self._producer, self._patiently
            ):
                self._consumer.subscribe(self._pipeline.topics)
            if time.monotonic() >= self._commit_at:
                self._positions.commit(wait=False)
                self._commit_at = time.monotonic() + settings.commit_interval_seconds
                self._instruments.unsettled.set(self._pipeline.unsettled())
                self._instruments.pulse.joined = self._consumer.joined
        except StateLostError as error:
            log.warning("%s Reading again what the lost windows held.", error)
            self._state_lost = True
        except AbandonedError:
            if self._stopping.is_set():
                self._gave_up = True
            else:
                log.warning("The group was rebalanced meanwhile; the records in hand are read again.")
                self._consumer.seek(self._positions.next)

    def _recover(self) -> None:
        """Start over from what Redis still holds."""
        self._positions.recover(self._patiently)
        self._consumer.seek(self._positions.next)
        self._state_lost = False

    def _find_place_again(self) -> None:
        """Go on in partitions that no longer hold, or do not hold any more, what comes next."""
        starts: dict[Partition, int] = {}

        def locate() -> None:
            for partition in self._consumer.out_of_reach:
                starts[partition] = self._positions.start_again(partition)

        self._patiently(locate)
        self._positions.next.update(starts)
        self._consumer.seek(starts)

    def _patiently(self, action: Callable[[], None]) -> None:
        rebalances = self._rebalances

        def keep_membership() -> None:
            if not self._paused:
                self._paused = True
                self._consumer.pause(self._positions.next)
            # Polling tells the group that this member is alive; paused partitions return no records.
            self._consumer.poll(1, 0.0)
            if self._rebalances != rebalances:
                raise AbandonedError

        try:
            self._patience.carry_out(action, keep_membership)
        finally:
            if self._paused:
                self._paused = False
                self._consumer.resume(self._positions.next)

    def _assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self._rebalances += 1
        self._instruments.rebalances.inc()

        def locate() -> None:
            self._positions.take_up(partitions, state_lost=self._state_lost)

        try:
            self._patience.carry_out(locate)
        except StateLostError as error:
            log.warning("%s Reading again what the lost windows held.", error)
            self._state_lost = True
            self._patience.carry_out(locate)
        self._positions.commit_beginnings(wait=True)
        starts = {partition: self._positions.next[partition] for partition in partitions}
        log.info("Reading %s.", _named(starts))
        return starts

    def _revoked(self, partitions: Sequence[Partition]) -> None:
        self._rebalances += 1
        self._instruments.rebalances.inc()
        self._positions.commit(partitions, wait=True)
        self._positions.release(partitions)
        log.info("Gave up %s.", _named(partitions))

    def _lost(self, partitions: Sequence[Partition]) -> None:
        self._rebalances += 1
        self._instruments.rebalances.inc()
        self._positions.release(partitions)
        log.warning("Lost %s to another worker.", _named(partitions))

    def _shut_down(self) -> None:
        try:
            self._producer.flush(DELIVERY_SECONDS)
            if not self._gave_up:
                self._pipeline.settle()
        except (KafkaError, RedisUnavailableError, StateLostError) as error:
            log.warning("%s Unsettled windows are left to another worker.", error)
        if self._consumer.group_answers():
            self._positions.commit(wait=True)
            # The group may hand over partitions at this very moment, which are not taken up any more.
            with suppress(AbandonedError):
                self._consumer.close()
        else:
            self._consumer.abandon()
            log.warning("Kafka does not answer; the group finds out by itself that this worker has left.")


def _named(partitions: Iterable[Partition]) -> str:
    return ", ".join(f"{topic}[{number}]" for topic, number in partitions) or "nothing"
