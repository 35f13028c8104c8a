"""One stream of events, how an undisturbed worker counts it, and what a disturbed one made of it.

Three monitors read the stream. ``tumbling`` and ``sliding`` go by key, and each key keeps to one partition,
as with any producer that sets keys; so their windows have to be the very same whatever happens. The windows
of ``whole`` depend on how the partitions are interleaved, but they hold each event once.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import redis
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from monitor.verdicts.verdict import Verdict
from streams import headers
from tests.faults.processes import Treatment, WorkerProcess
from tests.traffic import Account, Events, LeftOpen, MonitorState, TinyDetector, publish
from tests.workers import monitor_config, wait_until, write_config

PARTITIONS = 3
KEYS = tuple(f"key-{number}" for number in range(6))
WINDOW, HOP = 50, 10
WINDOWS = {
    "tumbling": {"size": WINDOW},
    "sliding": {"size": WINDOW, "hop": HOP},
    "whole": {"size": WINDOW},
}
BATCH = 40
REJECTED_SHARE = 0.03
CALM_RUN = 400
"""Events of one mood, over all keys; so that alerts are raised and resolved all along."""

DRAIN_SECONDS = 120.0


@dataclass(frozen=True)
class Place:
    """Servers that all runs share, and the topics with the stream.

    Attributes
    ----------
    bootstrap, redis_url
        Where Kafka and Redis are.
    bundle
        The detector.
    topics
        Names of the topics ``events``, ``alerts`` and ``rejected``.
    """

    bootstrap: str
    redis_url: str
    bundle: Path
    topics: Mapping[str, str]

    @classmethod
    def prepare(cls, bootstrap: str, redis_url: str, bundle: Path) -> Place:
        """Create the topics."""
        topics = {name: f"{name}-{uuid4().hex[:8]}" for name in ("events", "alerts", "rejected")}
        new = [NewTopic(topics["events"], PARTITIONS), NewTopic(topics["alerts"], 1)]
        create_topics(bootstrap, [*new, NewTopic(topics["rejected"], 1)])
        return cls(bootstrap, redis_url, bundle, topics)


def create_topics(bootstrap: str, topics: Sequence[NewTopic]) -> None:
    """Create topics; returns when they are there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics(list(topics)).values():
        created.result(30)


@dataclass
class Story:
    """The events that were published.

    Attributes
    ----------
    of_key
        The accepted events of every key, with their scores.
    rejected
        Partition and offset of the events that cannot be read.
    ends
        For each partition, the offset after its last event.
    forgotten
        Partition and offset of accepted events that were deleted before anybody could read them.
    """

    of_key: dict[str, Account] = field(default_factory=lambda: {key: Account() for key in KEYS})
    rejected: set[tuple[int, int]] = field(default_factory=set)
    ends: Counter[int] = field(default_factory=Counter)
    forgotten: set[tuple[int, int]] = field(default_factory=set)

    @property
    def accepted(self) -> int:
        """Number of events that windows have to hold."""
        return sum(len(account.scores) for account in self.of_key.values())

    @property
    def whole(self) -> Account:
        """The accepted events of all keys."""
        return Account({p: s for account in self.of_key.values() for p, s in account.scores.items()})

    def tell(self, place: Place, tiny: TinyDetector, n: int, seed: int, partitions: int = PARTITIONS) -> None:
        """Publish more events: calm and harmful by turns, some of them broken."""
        rng = np.random.default_rng(seed)
        events = _by_turns(tiny, n, seed)
        of_row = rng.integers(len(KEYS), size=n)
        broken = rng.random(n) < REJECTED_SHARE
        values = [b"{" if bad else value for bad, value in zip(broken, events.values, strict=True)]
        keys = [KEYS[number] for number in of_row]
        places = publish(
            place.bootstrap,
            place.topics["events"],
            values,
            keys=[key.encode() for key in keys],
            partitions=[int(number) % partitions for number in of_row],
        )
        for where, key, bad, score in zip(places, keys, broken, events.scores, strict=True):
            self.ends[where[0]] = where[1] + 1
            if bad:
                self.rejected.add(where)
            else:
                self.of_key[key].enter([where], [score])


def _by_turns(tiny: TinyDetector, n: int, seed: int) -> Events:
    parts = []
    for turn, start in enumerate(range(0, n, CALM_RUN)):
        make = tiny.harmful if turn % 2 else tiny.calm
        parts.append(make(min(CALM_RUN, n - start), seed=seed * 1000 + turn))
    return Events(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)))


@dataclass
class Outcome:
    """What workers made of a story.

    Attributes
    ----------
    verdicts
        By monitor and segment, oldest first.
    alerts
        Ids of all alerts delivered, repeats included, with what each is about.
    dead_letters
        Partition and offset that the dead letters delivered name, repeats included.
    lost, doubled
        Events that are in no window, and in more windows than one, of the monitors that tumble.
    flushed
        Whether Redis has lost everything on the way. The history of verdicts is then allowed to have gaps: a
        verdict that was announced in the state topic, and not written to Redis yet, stands but is not shown.
    """

    verdicts: dict[tuple[str, str], list[Verdict]]
    alerts: list[tuple[str, tuple[Any, ...]]]
    dead_letters: list[tuple[int, int]]
    lost: int = 0
    doubled: int = 0
    flushed: bool = False

    @property
    def repeated_alerts(self) -> int:
        """How many alerts were delivered again."""
        return len(self.alerts) - len({identity for identity, _ in self.alerts})

    @property
    def repeated_dead_letters(self) -> int:
        """How many dead letters were delivered again."""
        return len(self.dead_letters) - len(set(self.dead_letters))

    def faults(self, story: Story, undisturbed: Outcome) -> list[str]:
        """Say in what this outcome is not that of an undisturbed worker; empty when in nothing."""
        found = []
        if self.lost or self.doubled:
            found.append(f"{self.lost} events lost, {self.doubled} doubled")
        for name, verdicts in undisturbed.verdicts.items():
            mine = self.verdicts.get(name, [])
            shown = {verdict.sequence for verdict in mine} if self.flushed else set(range(len(verdicts) + 1))
            if name[0] == "whole":
                same = self.flushed or len(mine) == len(verdicts)
            else:
                same = [_essence(v) for v in mine] == [_essence(v) for v in verdicts if v.sequence in shown]
            if not same:
                found.append(f"other verdicts of {name}: {len(mine)} instead of {len(verdicts)}")
        found += self._alert_faults(undisturbed)
        if set(self.dead_letters) != story.rejected:
            missing = len(story.rejected - set(self.dead_letters))
            found.append(f"{missing} dead letters missing of {len(story.rejected)}")
        return found

    def _alert_faults(self, undisturbed: Outcome) -> Iterator[str]:
        if len({identity for identity, _ in self.alerts}) != len(set(self.alerts)):
            yield "one alert id stands for several alerts"
        mine, theirs = (
            {one for one in outcome.alerts if one[1][0] != "whole"} for outcome in (self, undisturbed)
        )
        if mine != theirs:
            yield f"{len(theirs - mine)} alerts missing, {len(mine - theirs)} that should not be"


def _essence(verdict: Verdict) -> tuple[Any, ...]:
    """What of a verdict does not depend on when it was given, or on how rows were batched for TensorFlow."""
    return (
        verdict.sequence,
        sorted(verdict.offsets.items()),
        verdict.size,
        round(verdict.statistic, 9),
        verdict.drift,
        f"{verdict.mean:.4g}",
        f"{verdict.max:.4g}",
    )


class Run:
    """One group of workers that counts a story into an empty Redis.

    Parameters
    ----------
    place
        Where everything is.
    story
        What is counted.
    directory
        Where config and logs go.
    tails
        Alerts and dead letters; what is in them before the run is not the run's.
    state_topic
        Whether standings are kept in Kafka too.
    worker, kafka
        Further settings of these sections.
    monitors
        Which of the monitors there are.
    window
        Further settings of all windows.
    """

    def __init__(
        self,
        place: Place,
        story: Story,
        directory: Path,
        tails: Tails,
        *,
        state_topic: bool = True,
        worker: Mapping[str, Any] | None = None,
        kafka: Mapping[str, Any] | None = None,
        monitors: Sequence[str] = tuple(WINDOWS),
        window: Mapping[str, Any] | None = None,
    ) -> None:
        self.place, self.story, self._tails = place, story, tails
        self._directory = directory / uuid4().hex[:8]
        topics = dict(place.topics)
        if state_topic:
            topics["state"] = f"state-{uuid4().hex[:8]}"
            compacted = NewTopic(topics["state"], 1, config={"cleanup.policy": "compact"})
            create_topics(place.bootstrap, [compacted])
        self.group = uuid4().hex
        self._config = monitor_config(
            place.bootstrap,
            place.redis_url,
            place.bundle,
            topics,
            test={"p_val": 0.001},
            kafka={
                "group.id": self.group,
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 500,
                **(kafka or {}),
            },
            worker={
                "batch_size": BATCH,
                "batch_wait_ms": 5,
                "lease_seconds": 0.3,
                "commit_interval_seconds": 0.05,
                **(worker or {}),
            },
        )
        (template,) = self._config["monitors"]
        self._config["monitors"] = [
            {
                **template,
                "name": name,
                "window": {**WINDOWS[name], **(window or {})},
                "segment_by": "none" if name == "whole" else "key",
            }
            for name in monitors
        ]
        self._monitors = monitors
        self._state_topic = state_topic
        self._flushed = False
        self._remembered: defaultdict[tuple[str, str], list[Verdict]] = defaultdict(list)
        self._states = {name: MonitorState(place.redis_url, name) for name in monitors}
        self._workers: list[WorkerProcess] = []
        with redis.Redis.from_url(place.redis_url) as client:
            client.flushall()
        tails.skip()

    def worker(
        self,
        treatment: Treatment | None = None,
        *,
        static: bool = True,
        settings: Mapping[str, Any] | None = None,
    ) -> WorkerProcess:
        """Start a worker; a ``static`` one takes the place of the one before it without delay."""
        config = {**self._config, "worker": {**self._config["worker"], **(settings or {})}}
        if static:
            # A member that Kafka knows by name is back in its place at once after a crash; another one has
            # to wait until its session ends.
            config = {**config, "kafka": {**config["kafka"], "group.instance.id": "one"}}
        number = len(self._workers)
        path = write_config(self._directory / str(number), config)
        worker = WorkerProcess(path, path.with_name("worker.log"), treatment)
        self._workers.append(worker)
        return worker

    def counted(self) -> int:
        """Number of events that the monitor that is behind has counted."""
        return min(sum(state.counted().values()) for state in self._states.values())

    def drained(self) -> bool:
        """Whether all is counted and every closed window has its verdict."""
        for state in self._states.values():
            if state.counted() != dict(self.story.ends):
                return False
            with state.connection.client() as client:
                if client.hlen(state.keys.closed):
                    return False
        return True

    def drain(self, worker: WorkerProcess) -> None:
        """Await that a worker has counted all."""
        self.wait_for(worker, "to count all", self.drained)

    def wait_for(self, worker: WorkerProcess, what: str, found: Callable[[], Any]) -> Any:
        """Await something that a worker brings about."""

        def check() -> None:
            assert worker.running, f"the worker ended:\n{worker.log}"

        try:
            return wait_until(what, found, DRAIN_SECONDS, check, poll_seconds=0.005)
        except TimeoutError as error:
            raise AssertionError(f"{error}; the worker says:\n{worker.log}") from error

    def flush(self) -> None:
        """Let Redis lose everything at once; what verdicts it held is remembered for the outcome."""
        self._flushed = True
        names = [(monitor, segment) for monitor in self._monitors for segment in self._segments(monitor)]
        with redis.Redis.from_url(self.place.redis_url) as client:
            pipe = client.pipeline(transaction=True)
            for monitor, segment in names:
                pipe.lrange(self._states[monitor].keys.verdicts(segment), 0, -1)
            pipe.flushall()
            found: list[Any] = pipe.execute()
        for name, stored in zip(names, found, strict=False):
            self._remembered[name] += [Verdict.decode(raw) for raw in reversed(stored)]

    def outcome(self) -> Outcome:
        """Read what has become of the story."""
        alerts, dead_letters = self._tails.read()
        found = Outcome({}, [alert_of(message) for message in alerts], [origin_of(m) for m in dead_letters])
        found.flushed = self._flushed
        for monitor, state in self._states.items():
            for segment, account in self._segments(monitor).items():
                verdicts = [*self._remembered[monitor, segment], *state.verdicts(segment)]
                found.verdicts[monitor, segment] = verdicts
                if monitor != "sliding":
                    left = state.left_open(segment)
                    held = self._held(verdicts, left, account)
                    found.doubled += len(held) - len(set(held))
                    found.lost += len(account.scores.keys() - set(held)) - self._unshown(verdicts, left)
        return found

    def _segments(self, monitor: str) -> dict[str, Account]:
        return {"all": self.story.whole} if monitor == "whole" else self.story.of_key

    def _unshown(self, verdicts: Sequence[Verdict], left: LeftOpen | None) -> int:
        """Count the events of windows whose verdicts stand, as their successors show, but are not shown."""
        if not (self._flushed and self._state_topic):
            return 0
        decided = max((v.sequence for v in verdicts), default=0)
        if left is not None:
            decided = max(decided, left.sequence - 1)
        return WINDOW * (decided - len(verdicts))

    def _held(
        self, verdicts: Sequence[Verdict], left: LeftOpen | None, account: Account
    ) -> list[tuple[int, int]]:
        windows = [(v.size, v.mean, v.offsets) for v in verdicts]
        if left is not None:
            windows.append((len(left.scores), float(left.scores.mean(dtype=np.float64)), left.offsets))
        held: list[tuple[int, int]] = []
        for size, mean, offsets in windows:
            covered = [place for place in account.held_by(offsets) if place not in self.story.forgotten]
            scores = [account.scores[place] for place in covered]
            # A window that has not the scores of the events it names holds none of them for sure.
            if size == len(covered) and np.isclose(np.mean(scores), mean, rtol=1e-4):
                held += covered
        return held

    def logs(self) -> str:
        """All that all workers have logged."""
        return "\n".join(worker.log for worker in self._workers)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.kill()
        for state in self._states.values():
            state.connection.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Tails:
    """What arrives in the alert and dead-letter topics.

    Parameters
    ----------
    place
        Where they are.
    """

    def __init__(self, place: Place) -> None:
        self._topics = [TopicPartition(place.topics[name], 0) for name in ("alerts", "rejected")]
        self._next = dict.fromkeys((tp.topic for tp in self._topics), 0)
        properties = {"bootstrap.servers": place.bootstrap, "group.id": uuid4().hex}
        self._consumer = Consumer({**properties, "enable.auto.commit": False, "fetch.wait.max.ms": 10})

    def skip(self) -> None:
        """Leave out what has arrived so far."""
        for partition in self._topics:
            self._next[partition.topic] = self._end(partition)

    def _end(self, partition: TopicPartition) -> int:
        def bounds() -> tuple[int, int] | None:
            try:
                return self._consumer.get_watermark_offsets(partition, 10)
            except KafkaException as error:
                # The topic may have been created a moment ago.
                if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                    raise
                return None

        return wait_until(f"a leader of {partition.topic}", bounds)[1]

    def read(self) -> tuple[list[Message], list[Message]]:
        """Return the alerts and the dead letters since ``skip``."""
        ends = {tp.topic: self._end(tp) for tp in self._topics}
        wanted = sum(ends.values()) - sum(self._next.values())
        self._consumer.assign([TopicPartition(tp.topic, 0, self._next[tp.topic]) for tp in self._topics])
        found: list[Message] = []
        deadline = time.monotonic() + DRAIN_SECONDS
        while len(found) < wanted:
            assert time.monotonic() < deadline
            found += self._consumer.consume(wanted - len(found), 0.2)
        self._consumer.unassign()
        alerts = [message for message in found if message.topic() == self._topics[0].topic]
        return alerts, [message for message in found if message.topic() != self._topics[0].topic]

    def close(self) -> None:
        """Give the connection back."""
        self._consumer.close()


@contextmanager
def tails(place: Place) -> Iterator[Tails]:
    """Lend the alert and dead-letter topics of a place."""
    opened = Tails(place)
    try:
        yield opened
    finally:
        opened.close()


def alert_of(message: Message) -> tuple[str, tuple[Any, ...]]:
    """Return the id of an alert, and what it is about: monitor, segment, type, offsets."""
    alert = json.loads(message.value())
    data = alert["data"]
    offsets = json.dumps(data["window"]["offsets"], sort_keys=True)
    return alert["id"], (data["monitor"], data["segment"], alert["type"], offsets)


def origin_of(message: Message) -> tuple[int, int]:
    """Return the partition and offset that a dead letter is of."""
    found = dict(message.headers())
    return int(found[headers.REJECT_PARTITION]), int(found[headers.REJECT_OFFSET])
