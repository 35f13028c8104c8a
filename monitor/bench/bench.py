"""The whole benchmark: delays at a steady rate, then the same topic drained bare and by the worker."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import Producer

from monitor.bench.delay import DelayReport, measure_delays
from monitor.bench.deployment import temporary_deployment
from monitor.bench.events import Event, fill
from monitor.bench.throughput import Drained, drain_bare, drain_worker
from monitor.config import Config, MonitorConfig
from monitor.config.kafka_properties import for_producer

TOPIC_BYTES = 100_000_000
MOST_EVENTS, FEWEST_EVENTS = 300_000, 2_000
"""Bounds on the events drained when their number is not given."""


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes
    ----------
    rounds
        How often the topic is drained, bare and by the worker in turn.
    events
        Number of events in the topic; about 100 MB of them when None.
    partitions
        Partitions of the topic.
    rate, seconds
        Pace at which delays are measured, in events a second, and for how long; no delays with 0 seconds.
    """

    rounds: int = 3
    events: int | None = None
    partitions: int = 1
    rate: float = 1000.0
    seconds: float = 10.0


@dataclass(frozen=True)
class BenchReport:
    """What was measured; of several rounds the median.

    Attributes
    ----------
    events, event_bytes
        Number of events drained, and their mean size.
    bare_per_second, worker_per_second, ratio
        Events a second of a loop that only consumes, of the worker, and the second over the first.
    drained
        All rounds of the worker.
    delays
        Delays at a steady rate; None when they were not measured.
    """

    events: int
    event_bytes: float
    bare_per_second: float
    worker_per_second: float
    ratio: float
    drained: Sequence[Drained]
    delays: DelayReport | None


def measure(
    config: Config,
    monitors: Sequence[MonitorConfig],
    events: Sequence[Event],
    plan: Plan,
    tell: Callable[[str], None],
) -> BenchReport:
    """Measure what one worker sustains.

    Parameters
    ----------
    config
        The user's config.
    monitors
        Its monitors of one topic.
    events
        Events that they accept; repeated as often as it takes.
    plan
        What to measure.
    tell
        Told what is being done.
    """
    delays = None
    if plan.seconds:
        tell(f"Measuring delays at {plan.rate:,.0f} events/s for {plan.seconds:g} s ...")
        with temporary_deployment(config, monitors, plan.partitions) as deployment:
            delays = measure_delays(
                deployment, events, rate=plan.rate, seconds=plan.seconds, partitions=plan.partitions
            )
    size = statistics.fmean(len(event.value) for event in events)
    count = plan.events or math.ceil(min(max(TOPIC_BYTES / size, FEWEST_EVENTS), MOST_EVENTS))
    with temporary_deployment(config, monitors, plan.partitions) as deployment:
        tell(f"Publishing {count:,} events of {size:,.0f} bytes ...")
        producer = Producer(for_producer(config.kafka.properties))
        fill(producer, deployment.events_topic, events, count, plan.partitions)
        bare, drained = [], []
        for number in range(1, plan.rounds + 1):
            bare.append(drain_bare(deployment.for_run(f"bare-{number}"), count))
            drained.append(drain_worker(deployment.for_run(f"worker-{number}"), count))
            tell(
                f"Round {number}: bare {bare[-1]:,.0f} events/s,"
                f" worker {drained[-1].events_per_second:,.0f} events/s."
            )
    return BenchReport(
        events=count,
        event_bytes=size,
        bare_per_second=statistics.median(bare),
        worker_per_second=statistics.median(one.events_per_second for one in drained),
        ratio=statistics.median(
            one.events_per_second / alone for one, alone in zip(drained, bare, strict=True)
        ),
        drained=drained,
        delays=delays,
    )
