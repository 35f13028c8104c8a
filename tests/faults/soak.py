"""One worker counts millions of events while faults befall it and its servers; its memory is watched.

``python -m tests.faults.soak --events 5000000`` starts Kafka, Redis and ``drift-monitor worker`` and sends
events as fast as they are counted. At random moments it restarts, kills and freezes the servers, freezes the
worker for longer than its session, and lets a second one come and leave or be killed. It prints how much
memory the worker took and how many events were lost or doubled, and exits with 1 if any was, if an alert or
a dead letter is missing, or if the memory grew by 5 % or more after the first tenth.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from confluent_kafka.admin import NewTopic
from typing_extensions import Self

from monitor.verdicts.verdict import Verdict
from tests.faults.endless import Counted, EndlessAccount, EndlessEvents, Sender
from tests.faults.memory_watch import Memory, Watch
from tests.faults.processes import WorkerProcess
from tests.faults.random_faults import KINDS, SESSION_SECONDS, RandomFaults
from tests.faults.story import PARTITIONS, Place, Tails, alert_of, create_topics, origin_of, tails
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import LeftOpen, TinyDetector
from tests.workers import WorkerUnderTest, monitor_config, write_config

WINDOW = 1000
MONITORS = {"keyed": "key", "whole": "none"}
SEGMENTS: Mapping[tuple[str, str], list[int]] = {
    **{("keyed", f"key-{partition}"): [partition] for partition in range(PARTITIONS)},
    ("whole", "all"): list(range(PARTITIONS)),
}
"""Segments, with the partitions whose events they hold."""
AHEAD = 60_000
MOST_GROWTH = 0.05
PATIENCE_SECONDS = 3600.0


def soak_config(place: Place) -> dict[str, Any]:
    """Config of the workers: as an operator would write it, but quicker to notice that somebody is gone."""
    topics = {**place.topics, "state": f"{place.topics['events']}-state"}
    create_topics(place.bootstrap, [NewTopic(topics["state"], 1, config={"cleanup.policy": "compact"})])
    config = monitor_config(
        place.bootstrap,
        place.redis_url,
        place.bundle,
        topics,
        window={"size": WINDOW},
        test={"p_val": 1e-6},
        kafka={"session.timeout.ms": int(SESSION_SECONDS * 1000), "heartbeat.interval.ms": 1000},
        redis={"socket_timeout_seconds": 1},
        worker={"lease_seconds": 2},
    )
    (template,) = config["monitors"]
    config["monitors"] = [{**template, "name": name, "segment_by": by} for name, by in MONITORS.items()]
    return config


class Guests:
    """Second workers, which come one at a time.

    Parameters
    ----------
    directory
        Where their config and logs go.
    config
        That of the first worker.
    """

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self._config = write_config(directory, config)
        self._came: list[WorkerProcess] = []

    def join(self) -> WorkerProcess:
        """Start another one."""
        self._came.append(WorkerProcess(self._config, self._config.with_name(f"{len(self._came)}.log")))
        return self._came[-1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for guest in self._came:
            guest.kill()


@dataclass
class Result:
    """What has become of the events."""

    counted: dict[str, Counted]
    verdicts: int
    alerts: int
    repeated_alerts: int
    dead_letters: int
    repeated_dead_letters: int
    faults: list[str]

    @classmethod
    def read(cls, watch: Watch, tail: Tails, account: EndlessAccount) -> Result:
        """Compare what the worker left behind with what was sent."""
        alerts, dead_letters = tail.read()
        origins = [origin_of(message) for message in dead_letters]
        found = [alert_of(message) for message in alerts]
        about = {identity: (monitor, segment) for identity, (monitor, segment, *_) in found}
        faults = []
        windows: dict[str, list[Verdict | LeftOpen]] = {monitor: [] for monitor in MONITORS}
        for (monitor, segment), by_sequence in watch.verdicts.items():
            verdicts = [by_sequence[sequence] for sequence in sorted(by_sequence)]
            if list(by_sequence) != list(range(1, len(verdicts) + 1)):
                faults.append(f"verdicts of {monitor}/{segment} are missing")
            moods = [False, *(verdict.drift for verdict in verdicts)]
            turns = sum(before != after for before, after in pairwise(moods))
            told = list(about.values()).count((monitor, segment))
            if told != turns:
                faults.append(f"{told} alerts of {monitor}/{segment} instead of {turns}")
            left = watch.states[monitor].left_open(segment)
            windows[monitor] += verdicts if left is None else [*verdicts, left]
        counted = {monitor: account.counted(found) for monitor, found in windows.items()}
        faults += [
            f"{one.lost} events of {monitor} lost, {one.doubled} doubled"
            for monitor, one in counted.items()
            if one.lost or one.doubled
        ]
        if set(origins) != account.broken:
            faults.append(f"{len(account.broken - set(origins))} dead letters are missing")
        return cls(
            counted=counted,
            verdicts=sum(map(len, watch.verdicts.values())),
            alerts=len(about),
            repeated_alerts=len(alerts) - len(about),
            dead_letters=len(set(origins)),
            repeated_dead_letters=len(origins) - len(set(origins)),
            faults=faults,
        )

    def report(self) -> str:
        """Return the figures as lines."""
        lines = []
        for monitor, one in self.counted.items():
            lines += [
                f"events accepted, {monitor:<13}{one.accepted:>19,}",
                f"  lost                        {one.lost:>19,}",
                f"  doubled                     {one.doubled:>19,}",
            ]
        return "\n".join(
            [
                *lines,
                f"verdicts                      {self.verdicts:>19,}",
                f"alerts                        {self.alerts:>19,}",
                f"  repeated, with the same id  {self.repeated_alerts:>19,}",
                f"events rejected               {self.dead_letters:>19,}",
                f"  dead letters repeated       {self.repeated_dead_letters:>19,}",
            ]
        )


def moments(events: int, faults: int, rng: random.Random) -> list[float]:
    """Choose after how many events a fault comes: the first of each kind within the first tenth.

    What an outage fills for the first time, such as the queue of records that were fetched ahead, is no
    growth that goes on.
    """
    early = min(faults, KINDS)
    spans = [(0.01, 0.1)] * early + [(0.1, 0.99)] * (faults - early)
    return sorted(rng.uniform(*span) * events for span in spans)


def soak(events: int, faults: int, seed: int, directory: Path, say: Callable[[str], None]) -> list[str]:
    """Let a worker count events under faults, tell the figures, and return what is wrong."""
    rng = random.Random(seed)
    tiny = TinyDetector(directory / "tiny")
    stream = EndlessEvents(tiny)
    with ExitStack() as stack:
        kafka = stack.enter_context(KafkaBroker())
        redis = stack.enter_context(RedisServer({"appendonly": "yes", "appendfsync": "always"}))
        place = Place.prepare(kafka.bootstrap, redis.url, tiny.path)
        config = soak_config(place)
        tail = stack.enter_context(tails(place))
        worker = stack.enter_context(WorkerUnderTest(directory / "worker", config)).start()
        guests = stack.enter_context(Guests(directory / "guests", config))
        watch = stack.enter_context(Watch(redis.url, SEGMENTS, worker.process.pid))
        sender = Sender(kafka.bootstrap, place.topics["events"], stream, events, AHEAD, lambda: watch.counted)
        stack.enter_context(sender)
        injected = RandomFaults(kafka, redis, worker, guests.join, watch, events, rng)
        worker.wait_for("the first events", lambda: watch.counted, PATIENCE_SECONDS)
        started = time.monotonic()
        for moment in moments(events, faults, rng):
            worker.wait_for("progress", lambda: watch.counted >= moment, PATIENCE_SECONDS)  # noqa: B023
            try:
                injected.strike()
            except AssertionError:
                # Where nothing is counted because nothing is sent, it is no fault of the worker.
                say(f"{watch.counted:,} counted; {sender.undelivered:,} not even delivered")
                raise
            sender.check()
            say(f"{watch.counted:,} counted; {dict(injected.done)}")
        worker.wait_for("all events", lambda: watch.counted >= events, PATIENCE_SECONDS)
        seconds = time.monotonic() - started
        worker.wait_for("the last verdicts", watch.settled, PATIENCE_SECONDS)
        watch.stop()
        memory = Memory(watch.samples, events)
        assert worker.stop() == 0, worker.log
        watch.look()
        ends = {p: len(range(p, events, PARTITIONS)) for p in range(PARTITIONS)}
        result = Result.read(watch, tail, EndlessAccount(stream, ends))
    say(memory.report())
    say(result.report())
    say("\n".join(f"{kind:<34}{count:>15,}" for kind, count in sorted(injected.done.items())))
    say(f"events a second, faults included  {events / seconds:>15,.0f}")
    grown = [f"memory grew by {memory.growth:.1%}"] if memory.growth >= MOST_GROWTH else []
    return [*result.faults, *grown]


def main() -> int:
    """Run the soak and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--faults", type=int, default=36)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", type=Path, help="where config and logs go, to be kept")
    arguments = parser.parse_args()
    # So that the servers are stopped however the command is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as directory:
        wrong = soak(
            arguments.events,
            arguments.faults,
            arguments.seed,
            arguments.directory or Path(directory),
            lambda text: print(text, flush=True),
        )
    for fault in wrong:
        print(fault, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
