"""Traffic of which every score is known: a tiny detector, events, and the account of their counting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from confluent_kafka import Consumer, Message, Producer

from monitor.history import read_verdicts
from monitor.verdicts.verdict import Verdict
from streams.encoding import encode_json
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.window_bytes import open_count, read_window, scores_of
from streams.state.windows import SCORE_DTYPE

N_FEATURES = 30
N_CLASSES = 2
REFERENCE_SIZE = 500


@dataclass(frozen=True)
class Events:
    """Events with the scores that the detector gives them, all of length n."""

    instances: np.ndarray
    predictions: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, chosen: slice) -> Events:
        return Events(self.instances[chosen], self.predictions[chosen], self.scores[chosen])

    @property
    def values(self) -> list[bytes]:
        """The events as JSON."""
        return encode_json(self.instances, self.predictions)


class TinyDetector:
    """A pair of untrained classifiers in a bundle; the teacher is a slightly shifted student.

    Parameters
    ----------
    path
        Where the bundle is written, with the teacher in it.
    """

    def __init__(self, path: Path) -> None:
        from detectors import ModelDistillation, save_detector

        student, teacher = classifier(), classifier()
        shift = np.random.default_rng(2).normal(scale=0.1, size=(N_FEATURES, N_CLASSES))
        kernel, bias = student.get_weights()
        teacher.set_weights([kernel + shift, bias])
        self.path = path
        self.detector = ModelDistillation(distilled_model=student, model=teacher, threshold=0.5)
        self.reference = self.calm(REFERENCE_SIZE, seed=0).scores
        save_detector(self.detector, path, reference=self.reference)

    def calm(self, n: int, seed: int) -> Events:
        """Events on which teacher and student agree, as they do in the reference."""
        instances, predictions = self._predicted(n, seed)
        return self._scored(instances, predictions)

    def harmful(self, n: int, seed: int) -> Events:
        """Events on which the teacher says the opposite of what it said in the reference."""
        instances, predictions = self._predicted(n, seed)
        return self._scored(instances, np.ascontiguousarray(predictions[:, ::-1]))

    def _predicted(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        instances = np.random.default_rng(seed).normal(size=(n, N_FEATURES)).astype(np.float32)
        return instances, np.asarray(self.detector.model(instances), np.float32)

    def _scored(self, instances: np.ndarray, predictions: np.ndarray) -> Events:
        return Events(instances, predictions, self.detector.score_predictions(instances, predictions))


def classifier(seed: int = 1) -> Any:
    """Build an untrained classifier of 30 features and 2 classes."""
    import tensorflow as tf

    tf.keras.utils.set_random_seed(seed)
    return tf.keras.Sequential(
        [tf.keras.Input((N_FEATURES,)), tf.keras.layers.Dense(N_CLASSES, activation="softmax")]
    )


def publish(
    bootstrap: str,
    topic: str,
    values: Sequence[bytes | None],
    *,
    keys: Sequence[bytes | None] | None = None,
    headers: Sequence[list[tuple[str, bytes]] | None] | None = None,
    partitions: Sequence[int] | None = None,
) -> list[tuple[int, int]]:
    """Send records and return the partition and offset of each; they are all delivered then."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "acks": "all", "message.max.bytes": 4_000_000}
    )
    places: list[tuple[int, int]] = [(-1, -1)] * len(values)

    def note(row: int) -> Callable[[object, Message], None]:
        def on_delivery(error: object, message: Message) -> None:
            assert error is None, error
            places[row] = (message.partition(), message.offset())

        return on_delivery

    for row, value in enumerate(values):
        while len(producer) > 50_000:
            producer.poll(0.01)
        optional: dict[str, Any] = {}
        if keys is not None:
            optional["key"] = keys[row]
        if headers is not None and headers[row]:
            optional["headers"] = headers[row]
        if partitions is not None:
            optional["partition"] = partitions[row]
        producer.produce(topic, value, on_delivery=note(row), **optional)
        producer.poll(0)
    assert producer.flush(60) == 0
    return places


def consume(
    bootstrap: str, topic: str, count: int, *, seconds: float = 30.0, extra: float = 0.0
) -> list[Message]:
    """Read the first records of a topic, and any that follow within ``extra`` seconds."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[Message] = []
    deadline = time.monotonic() + seconds
    try:
        while len(found) < count:
            assert time.monotonic() < deadline, f"{topic} holds {len(found)} records, {count} were expected"
            found += consumer.consume(count - len(found), 0.2)
        found += consumer.consume(1000, extra) if extra else []
    finally:
        consumer.close()
    assert all(message.error() is None for message in found)
    return found


@dataclass
class Account:
    """What was sent to a topic, and whether each event is in exactly one window.

    A verdict names the first and last offset of its window by partition, its size, its mean and its maximum.
    With the score of every offset known, that tells which events the window holds.
    """

    scores: dict[tuple[int, int], float] = field(default_factory=dict)
    """By partition and offset."""

    def send(
        self, bootstrap: str, topic: str, events: Events, partitions: Sequence[int] | None = None
    ) -> None:
        """Publish events and enter them."""
        places = publish(bootstrap, topic, events.values, partitions=partitions)
        self.enter(places, events.scores)

    def enter(self, places: Sequence[tuple[int, int]], scores: Sequence[float] | np.ndarray) -> None:
        """Enter events that are published."""
        self.scores.update(zip(places, map(float, scores), strict=True))

    def held_by(self, offsets: Mapping[int, tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the events that a window with these ranges holds."""
        return [
            (partition, offset)
            for partition, (first, last) in offsets.items()
            for offset in range(first, last + 1)
            if (partition, offset) in self.scores
        ]

    def check(self, verdicts: Sequence[Verdict], left_open: LeftOpen | None = None) -> None:
        """Fail unless verdicts and the open window hold every event exactly once."""
        counted: list[tuple[int, int]] = []
        for verdict in verdicts:
            held = self.held_by(verdict.offsets)
            assert len(held) == verdict.size, f"{verdict} covers {len(held)} events"
            scores = np.array([self.scores[place] for place in held])
            np.testing.assert_allclose([verdict.mean, verdict.max], [scores.mean(), scores.max()], rtol=1e-4)
            counted += held
        if left_open is not None:
            held = self.held_by(left_open.offsets)
            expected = sorted(self.scores[place] for place in held)
            np.testing.assert_allclose(np.sort(left_open.scores), expected, rtol=1e-4, atol=1e-6)
            counted += held
        assert len(counted) == len(set(counted)), "events are in two windows"
        missing = self.scores.keys() - set(counted)
        assert not missing, f"{len(missing)} events are in no window, {min(missing)} among them"


@dataclass(frozen=True)
class LeftOpen:
    """The open window of a segment."""

    sequence: int
    scores: np.ndarray
    offsets: dict[int, tuple[int, int]]


class MonitorState:
    """What Redis holds of a monitor.

    Parameters
    ----------
    redis_url
        Where Redis is.
    monitor
        Name of the monitor.
    prefix
        What its keys start with.
    """

    def __init__(self, redis_url: str, monitor: str = "m", prefix: str = "drift") -> None:
        self.connection = RedisConnection(redis_url)
        self.keys = MonitorKeys(prefix, monitor)

    def __enter__(self) -> MonitorState:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def verdicts(self, segment: str = "all") -> list[Verdict]:
        """Verdicts of a segment, oldest first."""
        return read_verdicts(self.connection, self.keys, segment)

    def left_open(self, segment: str = "all") -> LeftOpen | None:
        """The open window of a segment; None when there is none with a score in it."""
        with self.connection.client() as client:
            pipe = client.pipeline()
            for key in (self.keys.open, self.keys.details, self.keys.scores):
                pipe.hget(key, segment)
            stored, described, earlier = pipe.execute()
        if stored is None or not open_count(stored):
            return None
        window = read_window(stored, described)
        packed = scores_of(stored, earlier)
        offsets: dict[int, tuple[int, int]] = {}
        for pane in window.panes:
            for partition, (first, last) in pane.offsets.items():
                offsets[partition] = (offsets.get(partition, (first, last))[0], last)
        return LeftOpen(window.sequence, np.frombuffer(packed, SCORE_DTYPE), offsets)

    def counted(self) -> dict[int, int]:
        """The next offset not yet counted, by partition."""
        with self.connection.client() as client:
            stored: Any = client.hgetall(self.keys.progress)
        return {int(name): int(offset) for name, offset in stored.items() if name != b"epoch"}

    def segments(self) -> set[str]:
        """Segments that have had an event."""
        with self.connection.client() as client:
            stored: Any = client.hkeys(self.keys.open)
        return {segment.decode() for segment in stored}


def since(account: Account, starts: dict[int, int]) -> Account:
    """The part of an account from these offsets on."""
    return Account({place: score for place, score in account.scores.items() if place[1] >= starts[place[0]]})


def first_offsets(state: MonitorState) -> dict[int, int]:
    """Where a monitor began to count, by partition."""
    starts: dict[int, int] = {}
    for verdict in state.verdicts():
        for partition, (first, _) in verdict.offsets.items():
            starts[partition] = min(first, starts.get(partition, first))
    return starts
