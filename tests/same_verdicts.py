"""The same events by every way of running the pipeline, and what each makes of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from monitor.backtest.run import run_backtest
from monitor.backtest.topic import events_of_topic
from monitor.bundle_shelf import BundleShelf
from monitor.config.file import load_config
from monitor.verdicts.verdict import Verdict
from tests.faust_apps import ready_made
from tests.traffic import Events, MonitorState, TinyDetector, consume, publish
from tests.workers import READY_SECONDS, WorkerThread, monitor_config, wait_until, write_config

PARTITIONS = 4
SEGMENTS = ("de", "eu", "jp", "us")
"""One for each partition, so that the order of a segment's events is the same for every reader."""
WINDOW = 100

NewTopic = Callable[..., str]


@dataclass(frozen=True)
class Outcome:
    """What one way of running the pipeline made of the events.

    Attributes
    ----------
    verdicts
        By segment, in order: sequence, offsets, p-value, threshold, drift, mean and highest score.
    alerts
        By segment, in order: kind, and the window that raised it.
    scores
        By segment, in the order of offsets.
    left_open
        By segment, the scores in the open window.
    """

    verdicts: dict[str, list[tuple[Any, ...]]]
    alerts: dict[str, list[tuple[str, int]]]
    scores: dict[str, list[float]]
    left_open: dict[str, list[float]]

    @property
    def decided(self) -> tuple[object, object]:
        """Verdicts and alerts alone."""
        return self.verdicts, self.alerts


@dataclass(frozen=True)
class Trial:
    """Events in a topic, to be counted in several ways.

    Attributes
    ----------
    bootstrap, redis_url
        Where Kafka and Redis are.
    tiny
        The detector.
    topic
        Creates topics.
    events
        Name of the topic with the events.
    count
        How many there are.
    """

    bootstrap: str
    redis_url: str
    tiny: TinyDetector
    topic: NewTopic
    events: str
    count: int

    @classmethod
    def prepare(
        cls, bootstrap: str, redis_url: str, tiny: TinyDetector, topic: NewTopic, count: int
    ) -> Trial:
        """Publish events: calm ones, harmful ones, then calm ones again, spread over the segments."""
        third = count // 3
        name = topic("events", partitions=PARTITIONS)
        for seed, events in enumerate(
            (
                tiny.calm(third, seed=11),
                tiny.harmful(third, seed=12),
                tiny.calm(count - 2 * third, seed=13),
            )
        ):
            chosen = np.random.default_rng(seed).integers(len(SEGMENTS), size=len(events)).tolist()
            _publish(bootstrap, name, events, chosen)
        return cls(bootstrap, redis_url, tiny, topic, name, count)

    def config(self, way: str) -> dict[str, Any]:
        """Config of one way: its own group, its own Redis keys, its own topics."""
        outputs = {name: self.topic(name) for name in ("alerts", "rejected", "scores")}
        config = monitor_config(
            self.bootstrap,
            self.redis_url,
            self.tiny.path,
            {"events": self.events, **outputs},
            segment_by="key",
            scores={"topic": outputs["scores"]},
            redis={"prefix": way},
            kafka={"group.id": f"{self.events}-{way}"},
        )
        config["monitors"][0]["window"] = {"size": WINDOW}
        return config

    def run(self, config: dict[str, Any], ways: Sequence[AbstractContextManager[object]]) -> Outcome:
        """Count all events, and return what came of it."""
        prefix, monitor = config["redis"]["prefix"], config["monitors"][0]
        with ExitStack() as running, MonitorState(self.redis_url, prefix=prefix) as state:
            for way in ways:
                running.enter_context(way)
            wait_until(
                "all counted", lambda: sum(state.counted().values()) == self.count, 120 + self.count / 500
            )
            wait_until(
                "all settled",
                lambda: sum(len(state.verdicts(s)) for s in SEGMENTS) == self._windows(state),
                READY_SECONDS,
            )
            verdicts = {segment: state.verdicts(segment) for segment in SEGMENTS}
            left_open = {
                segment: [] if (found := state.left_open(segment)) is None else found.scores.tolist()
                for segment in SEGMENTS
            }
        alerts: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for message in consume(self.bootstrap, monitor["alerts"]["topic"], 1, extra=1.0):
            alert = json.loads(message.value())
            kind = alert["type"].split(".")[-2]
            alerts[alert["subject"]].append((kind, alert["data"]["window"]["sequence"]))
        scores: dict[str, dict[tuple[int, int], float]] = defaultdict(dict)
        for message in consume(self.bootstrap, monitor["scores"]["topic"], self.count, extra=0.2):
            one = json.loads(message.value())
            scores[one["segment"]][one["partition"], one["offset"]] = one["score"]
        return Outcome(
            {segment: _described(found) for segment, found in verdicts.items()},
            dict(alerts),
            {segment: [found[place] for place in sorted(found)] for segment, found in scores.items()},
            left_open,
        )

    def by_worker(self) -> Outcome:
        """The deployed worker."""
        config = self.config("worker")
        return self.run(config, [WorkerThread(self._directory("worker"), config)])

    def by_two_workers(self) -> Outcome:
        """Two workers that share the partitions."""
        config = self.config("two")
        return self.run(config, [WorkerThread(self._directory(f"two-{n}"), config) for n in range(2)])

    def by_faust(self) -> Outcome:
        """The ready-made Faust app."""
        config = self.config("faust")
        return self.run(config, [ready_made(self._directory("faust"), config)])

    def by_backtest(self) -> Outcome:
        """A backtest of the topic, which tells no scores beyond those of its verdicts."""
        config = load_config(write_config(self._directory("backtest"), self.config("backtest")))
        events = events_of_topic(config, config.monitors[0], None, None, None)
        done = run_backtest("backtest", config, config.monitors, events, bundles=BundleShelf())
        segments = done.monitors[0].segments
        alerts = {
            name: [
                (moment.alert.value, verdict.sequence)
                for verdict, moment in zip(segment.verdicts, segment.moments, strict=True)
                if moment.alert is not None
            ]
            for name, segment in segments.items()
        }
        verdicts = {name: _described(segment.verdicts) for name, segment in segments.items()}
        return Outcome(verdicts, {name: found for name, found in alerts.items() if found}, {}, {})

    def _directory(self, name: str) -> Path:
        return self.tiny.path.parent / f"{self.events}-{name}"

    def _windows(self, state: MonitorState) -> int:
        opened = [state.left_open(segment) for segment in SEGMENTS]
        return (self.count - sum(0 if one is None else len(one.scores) for one in opened)) // WINDOW


def _described(verdicts: Sequence[Verdict]) -> list[tuple[Any, ...]]:
    return [(v.sequence, dict(v.offsets), v.p_value, v.threshold, v.drift, v.mean, v.max) for v in verdicts]


def _publish(bootstrap: str, topic: str, events: Events, segments: Sequence[int]) -> None:
    keys = [SEGMENTS[segment].encode() for segment in segments]
    publish(bootstrap, topic, events.values, keys=keys, partitions=list(segments))
