"""A stream of any length whose every score follows from partition and offset, and the account of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message, Producer
from typing_extensions import Self

from monitor.verdicts.verdict import Verdict
from tests.faults.story import PARTITIONS
from tests.traffic import Events, LeftOpen, TinyDetector

POOL = 48_000
"""Events that differ; the stream repeats them, each partition from a place of its own."""
MOOD = 6_000
"""Events of a partition that are calm or harmful in a row, so that alerts come and go all along."""
BROKEN_SHARE = 0.001
ROUND = 300
"""Events sent between two looks at how far the worker is."""


class EndlessEvents:
    """The events, by partition and offset.

    Parameters
    ----------
    tiny
        Gives them their scores.
    """

    def __init__(self, tiny: TinyDetector) -> None:
        parts = [
            (tiny.harmful if turn % 2 else tiny.calm)(MOOD, seed=turn + 1) for turn in range(POOL // MOOD)
        ]
        pool = Events(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)))
        broken = np.random.default_rng(7).random(POOL) < BROKEN_SHARE
        self.scores = np.where(broken, np.nan, pool.scores.astype(np.float64))
        self.values = [b"{" if bad else value for bad, value in zip(broken, pool.values, strict=True)]

    @staticmethod
    def start(partition: int) -> int:
        """Return the row of the pool at which a partition begins."""
        return partition * POOL // PARTITIONS

    def scores_of(self, partition: int, end: int) -> npt.NDArray[np.float64]:
        """Scores of the first ``end`` events of a partition, NaN for the broken ones."""
        return self.scores[(np.arange(end) + self.start(partition)) % POOL]


class Sender:
    """Sends events in the background, never more than some ahead of those that are counted.

    Parameters
    ----------
    bootstrap, topic
        Where to.
    events
        What.
    total
        How many.
    most_ahead
        How many may be waiting to be counted.
    counted
        Tells how many are counted.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        events: EndlessEvents,
        total: int,
        most_ahead: int,
        counted: Callable[[], int],
    ) -> None:
        self._topic, self._events, self._total = topic, events, total
        self._most_ahead, self._counted = most_ahead, counted
        self._failed: list[str] = []
        self._ending = threading.Event()
        # Idempotent: whatever befalls the broker, the n-th event sent to a partition has the offset n.
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "message.timeout.ms": 0,
                "compression.type": "lz4",
                "linger.ms": 20,
                "delivery.report.only.error": True,
                "on_delivery": self._note,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def check(self) -> None:
        """Fail if an event could not be delivered."""
        assert not self._failed, self._failed[0]

    @property
    def undelivered(self) -> int:
        """Events that the broker has not acknowledged yet."""
        return len(self._producer)

    def _note(self, error: object, message: Message) -> None:
        if error is not None:
            self._failed.append(str(error))

    def _run(self) -> None:
        produce, values = self._producer.produce, self._events.values
        starts = [self._events.start(partition) for partition in range(PARTITIONS)]
        sent = 0
        while sent < self._total and not self._ending.is_set():
            if sent - self._counted() > self._most_ahead or len(self._producer) > self._most_ahead:
                self._producer.poll(0.01)
                continue
            for number in range(sent, min(sent + ROUND, self._total)):
                offset, partition = divmod(number, PARTITIONS)
                row = (offset + starts[partition]) % POOL
                produce(self._topic, values[row], key=f"key-{partition}", partition=partition)
            sent = min(sent + ROUND, self._total)
            self._producer.poll(0)
        while len(self._producer) and not self._ending.is_set():
            self._producer.flush(1.0)


@dataclass(frozen=True)
class Counted:
    """How often the events of a monitor are in its windows."""

    accepted: int
    lost: int
    doubled: int


class EndlessAccount:
    """How often each event should be in a window, and is.

    Parameters
    ----------
    events
        The events.
    ends
        How many of them each partition has.
    """

    def __init__(self, events: EndlessEvents, ends: dict[int, int]) -> None:
        scores = {partition: events.scores_of(partition, end) for partition, end in ends.items()}
        self._accepted = {partition: ~np.isnan(found) for partition, found in scores.items()}
        # Sums up to each offset, so that a window of any length costs two look-ups.
        self._numbers = {p: np.append(0, np.cumsum(good)) for p, good in self._accepted.items()}
        self._sums = {p: np.append(0.0, np.cumsum(np.nan_to_num(found))) for p, found in scores.items()}

    @property
    def broken(self) -> set[tuple[int, int]]:
        """Partition and offset of the events that cannot be read."""
        return {(p, int(offset)) for p, good in self._accepted.items() for offset in np.flatnonzero(~good)}

    def counted(self, windows: Iterable[Verdict | LeftOpen]) -> Counted:
        """Compare the windows of a monitor with the events; one with a wrong mean holds none for sure."""
        steps = {p: np.zeros(len(numbers), np.int64) for p, numbers in self._numbers.items()}
        for window in windows:
            spans = [(p, first, last + 1) for p, (first, last) in window.offsets.items()]
            size = sum(self._numbers[p][end] - self._numbers[p][first] for p, first, end in spans)
            total = sum(self._sums[p][end] - self._sums[p][first] for p, first, end in spans)
            if isinstance(window, LeftOpen):
                expected = len(window.scores), float(window.scores.mean(dtype=np.float64))
            else:
                expected = window.size, window.mean
            if size == expected[0] and np.isclose(total / size, expected[1], rtol=1e-4):
                for p, first, end in spans:
                    steps[p][first] += 1
                    steps[p][end] -= 1
        times = [np.cumsum(step)[:-1][self._accepted[p]] for p, step in steps.items()]
        held = np.concatenate(times)
        return Counted(len(held), int((held == 0).sum()), int((held > 1).sum()))
