"""How long an event takes at a steady rate: until it is counted, and until its alert can be seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import Message, Producer

from monitor.alerts.received import ReceivedAlert
from monitor.alerts.subscription import AlertSubscription
from monitor.bench.deployment import CountedOffsets, Deployment
from monitor.bench.events import Event, fill
from monitor.bench.worker_process import MeasuredWorker
from monitor.config.kafka_properties import for_consumer, for_producer
from monitor.config.settings import AlertsConfig, WindowTestConfig

COUNTED_POLL_SECONDS = 0.002
"""How often Redis is asked what is counted: the resolution of the delay until then."""
ALERT_POLL_SECONDS = 0.2
"""How long to wait for an alert before looking whether all is over; an alert ends the wait at once."""
LAST_SECONDS = 10.0
"""How long the last events may take."""
ALMOST_ALWAYS = 1 - 1e-9
"""A level at which every window counts as drifted."""


@dataclass(frozen=True)
class Delays:
    """Delays in milliseconds.

    Attributes
    ----------
    p50, p99
        Median and 99th percentile.
    count
        How many were measured.
    """

    p50: float
    p99: float
    count: int


@dataclass(frozen=True)
class DelayReport:
    """Delays at a steady rate, from the call that publishes an event.

    Attributes
    ----------
    rate
        Events a second.
    counted
        Until Redis has counted the event.
    alert
        From the event that closed a window until a subscriber holds the alert about it; None when no window
        was closed in the time.
    """

    rate: float
    counted: Delays
    alert: Delays | None


def measure_delays(
    deployment: Deployment, events: Sequence[Event], *, rate: float, seconds: float, partitions: int
) -> DelayReport:
    """Publish at a steady rate to a worker that announces every window; the topic must be empty before.

    All is as in the config, except that windows are tested by ``ks_2samp`` at a level at which every one
    drifts, and that each drift is announced.
    """
    config = deployment.for_run(
        "delay",
        alerts=AlertsConfig(topic=deployment.alerts_topic, remind_after_seconds=1e-6),
        test=WindowTestConfig(name="ks_2samp", alternative="two-sided", p_val=ALMOST_ALWAYS),
    )
    producer = Producer(for_producer(config.kafka.properties))
    progress: list[tuple[float, Mapping[int, int]]] = []
    arrivals: list[tuple[float, ReceivedAlert]] = []
    with closing(CountedOffsets(config)) as counted, MeasuredWorker(config) as worker:
        # The first batch makes TensorFlow build its graph, which is not what is measured.
        fill(producer, deployment.events_topic, events, partitions, partitions)
        worker.wait_until(lambda: counted.total() >= partitions)
        subscription = AlertSubscription(for_consumer(config.kafka.properties), [deployment.alerts_topic])

        def note_progress() -> None:
            progress.append((time.monotonic(), counted.read()))
            time.sleep(COUNTED_POLL_SECONDS)

        def note_alerts() -> None:
            found = subscription.poll(ALERT_POLL_SECONDS)
            now = time.monotonic()
            arrivals.extend((now, alert) for alert in found)

        with closing(subscription), _meanwhile(note_progress), _meanwhile(note_alerts):
            published = _Published(deployment.events_topic, partitions)
            published.pace(producer, events, rate, seconds)
            deadline = time.monotonic() + LAST_SECONDS
            worker.wait_until(
                lambda: counted.total() >= published.total + partitions or time.monotonic() > deadline
            )
    return DelayReport(rate, published.until_counted(progress), published.until_alert(arrivals))


class _Published:
    """When each event was published; offsets begin at 1, after the event that warms the worker up."""

    def __init__(self, topic: str, partitions: int) -> None:
        self._topic = topic
        self._times: dict[int, list[float]] = {partition: [0.0] for partition in range(partitions)}

    @property
    def total(self) -> int:
        return sum(len(times) - 1 for times in self._times.values())

    def pace(self, producer: Producer, events: Sequence[Event], rate: float, seconds: float) -> None:
        began = time.monotonic()
        row = 0
        while (passed := time.monotonic() - began) < seconds:
            while row < int(passed * rate):
                event, partition = events[row % len(events)], row % len(self._times)
                self._times[partition].append(time.monotonic())
                producer.produce(
                    self._topic,
                    event.value,
                    event.key,
                    partition=partition,
                    headers=event.headers or None,
                    on_delivery=_refuse_failure,
                )
                row += 1
            producer.poll(0.001)
        producer.flush(LAST_SECONDS)

    def until_counted(self, progress: Sequence[tuple[float, Mapping[int, int]]]) -> Delays:
        delays = []
        for partition, times in self._times.items():
            reached = np.array([offsets.get(partition, 0) for _, offsets in progress])
            # The first look that found more counted than the offset itself.
            first = np.searchsorted(reached, np.arange(1, len(times)), side="right")
            seen = first < len(reached)
            at = np.array([at for at, _ in progress])[first[seen]]
            delays.append(at - np.array(times[1:])[seen])
        return _delays(np.concatenate(delays))

    def until_alert(self, arrivals: Sequence[tuple[float, ReceivedAlert]]) -> Delays | None:
        delays = []
        for at, alert in arrivals:
            offsets = alert.window.offsets[self._topic]
            closed_by = max(self._times[int(partition)][last] for partition, (_, last) in offsets.items())
            delays.append(at - closed_by)
        return _delays(np.array(delays)) if delays else None


def _refuse_failure(error: ClientError | None, _: Message) -> None:
    if error is not None:
        # Raised out of producer.poll.
        raise RuntimeError(f"an event could not be published: {error.str()}")


def _delays(seconds: npt.NDArray[np.float64]) -> Delays:
    p50, p99 = np.percentile(seconds * 1000, [50, 99]).tolist()
    return Delays(p50, p99, len(seconds))


@contextmanager
def _meanwhile(step: Callable[[], None]) -> Iterator[None]:
    """Repeat a step in a thread until the block ends."""
    over = threading.Event()

    def repeat() -> None:
        while not over.is_set():
            step()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
