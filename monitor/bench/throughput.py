"""Draining a topic: bare, and through the worker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from confluent_kafka import Consumer

from monitor.batch_sizes import BatchSize
from monitor.bench.deployment import CountedOffsets
from monitor.bench.worker_process import MeasuredWorker, Usage
from monitor.config import Config
from monitor.config.kafka_properties import for_consumer
from monitor.errors import SetupError
from monitor.garbage import GarbageBetweenBatches, spare_what_is_loaded
from streams.errors import KafkaError
from streams.records import RecordBatch

STALLED_SECONDS = 60.0
POLL_SECONDS = 0.005
"""How often Redis is asked how far the worker is: the resolution of the measured time."""


@dataclass(frozen=True)
class Drained:
    """One run of the worker over a topic.

    Attributes
    ----------
    events_per_second
        From the first events that Redis counts to the last.
    cpu_seconds_per_million
        Processor time of the worker's process, a million events.
    stages
        Share of that time, by stage of the loop; ``other`` is what no stage claims.
    seconds_to_first
        From the start of the process to the first event counted.
    resident_mb, resident_at_start_mb
        Memory of the process at the end, and when all was loaded and nothing consumed.
    """

    events_per_second: float
    cpu_seconds_per_million: float
    stages: Mapping[str, float]
    seconds_to_first: float
    resident_mb: float
    resident_at_start_mb: float


def drain_bare(config: Config, count: int) -> float:
    """Consume a topic in batches as large as the worker's and take each value out; events a second.

    The time runs from the first batch to the last, as the worker's does. The garbage collector is kept away
    as in the worker, since it would slow this loop down to a fraction, and flatter the worker.

    Raises
    ------
    KafkaError
        If the topic holds fewer events.
    SetupError
        If all came in one batch.
    """
    topic = config.monitors[0].input.topic
    properties = for_consumer(config.kafka.properties)
    consumer = Consumer({**properties, "enable.auto.commit": False})
    consumer.subscribe([topic])
    size = BatchSize(config.worker.batch_size)
    seen = first = 0
    spare_what_is_loaded()
    started = last = time.perf_counter()
    with closing(consumer), GarbageBetweenBatches():
        while seen < count:
            messages = consumer.consume(size.records, config.worker.batch_wait_ms / 1000)
            size.learn([RecordBatch(topic, messages)])
            for message in messages:
                message.value()
            if messages:
                seen += len(messages)
                last = time.perf_counter()
                if not first:
                    first, started = seen, last
            elif time.perf_counter() - last > STALLED_SECONDS:
                raise KafkaError(f"Topic {topic} gave {seen} events and then none; {count} were expected.")
    if first >= count:
        raise _too_few(count)
    return (count - first) / (last - started)


def drain_worker(config: Config, count: int) -> Drained:
    """Let a worker drain a topic.

    Raises
    ------
    SetupError
        If it is over before it could be measured.
    """
    began = time.monotonic()
    with closing(CountedOffsets(config)) as counted, MeasuredWorker(config) as worker:
        worker.wait_until(lambda: counted.total() > 0, POLL_SECONDS)
        already = counted.total()
        before = worker.usage()
        worker.wait_until(lambda: counted.total() >= count, POLL_SECONDS)
        after = worker.usage()
    if already >= count:
        raise _too_few(count)
    return Drained(
        events_per_second=(count - already) / (after.at - before.at),
        cpu_seconds_per_million=(after.cpu_seconds - before.cpu_seconds) / (count - already) * 1e6,
        stages=_shares(before, after),
        seconds_to_first=before.at - began,
        resident_mb=after.resident_mb,
        resident_at_start_mb=worker.at_start.resident_mb,
    )


def _too_few(count: int) -> SetupError:
    return SetupError(
        f"{count:,} events are read at once here, too few to measure anything; take more events."
    )


def _shares(before: Usage, after: Usage) -> dict[str, float]:
    wall = after.at - before.at
    shares = {
        stage: (seconds - before.stages.get(stage, 0.0)) / wall for stage, seconds in after.stages.items()
    }
    return {**shares, "other": max(0.0, 1.0 - sum(shares.values()))}
