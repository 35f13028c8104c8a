"""A broker, a Redis and a detector for the rows of the table, and topics drained bare and by workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from confluent_kafka import Producer

from monitor.bench.deployment import Deployment, temporary_deployment
from monitor.bench.events import Event, fill
from monitor.config import Config
from monitor.config.file import load_config
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import N_CLASSES, N_FEATURES, TinyDetector

WINDOW = 100
DECIMALS = 6
"""Of each number in JSON, as services write them; it makes tabular events of about 340 bytes."""
DISTINCT = 20_000


@dataclass(frozen=True)
class Servers:
    """What the rows share.

    Attributes
    ----------
    directory
        Where configs and bundles go.
    kafka, redis
        Running servers.
    tiny
        A detector of 30 features and 2 classes.
    cifar10
        Directory of the images and models.
    """

    directory: Path
    kafka: KafkaBroker
    redis: RedisServer
    tiny: TinyDetector
    cifar10: Path

    def config(self, bundle: Path, n_monitors: int = 1, **monitor: Any) -> Config:
        """Config of monitors that differ by name alone."""
        topics = {"input": "events", "alerts": "alerts", "dead_letters": "rejected"}
        one: dict[str, Any] = {
            "detector": str(bundle),
            "window": {"size": WINDOW},
            "test": {"p_val": 1e-6},
            **{section: {"topic": topic} for section, topic in topics.items()},
        }
        for section, changes in monitor.items():
            one[section] = {**one.get(section, {}), **changes} if isinstance(changes, dict) else changes
        content = {
            "kafka": {"bootstrap.servers": self.kafka.bootstrap},
            "redis": {"url": self.redis.url},
            "monitors": [{"name": f"m{number}", **one} for number in range(n_monitors)],
        }
        path = self.directory / "monitor.yaml"
        path.write_text(yaml.safe_dump(content))
        return load_config(path)

    @contextmanager
    def filled(
        self, config: Config, events: Sequence[Event], count: int, partitions: int = 1
    ) -> Iterator[Deployment]:
        """Lend a deployment whose topic holds ``count`` events."""
        with temporary_deployment(config, config.monitors, partitions) as deployment:
            self.fill(deployment, events, count, partitions)
            yield deployment

    def fill(self, deployment: Deployment, events: Sequence[Event], count: int, partitions: int) -> None:
        """Publish ``count`` events to a deployment's topic."""
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 5})
        fill(producer, deployment.events_topic, events, count, partitions)

    def json_events(self, segments: int = 0) -> list[Event]:
        """Tabular events in JSON, with a segment each when there are segments."""
        events = self.tiny.calm(DISTINCT, seed=1)
        rows = zip(
            np.round(events.instances.astype(float), DECIMALS).tolist(),
            np.round(events.predictions.astype(float), DECIMALS).tolist(),
            strict=True,
        )
        contents = [{"instance": instance, "prediction": prediction} for instance, prediction in rows]
        if segments:
            contents = [{**one, "segment": f"s{row % segments}"} for row, one in enumerate(contents)]
        return [Event(json.dumps(one, separators=(",", ":")).encode()) for one in contents]


def tensor_events(n: int, size: int, n_classes: int) -> list[Event]:
    """Raw float32 tensors of random numbers, with random predictions."""
    generator = np.random.default_rng(0)
    instances = generator.random((n, size), dtype=np.float32)
    predictions = generator.dirichlet(np.ones(n_classes), size=n).astype(np.float32)
    rows = np.concatenate([instances, predictions], axis=1).astype("<f4")
    return [Event(row.tobytes()) for row in rows]


def tabular_tensors() -> list[Event]:
    """Raw float32 tensors of the tiny detector's shape."""
    return tensor_events(DISTINCT, N_FEATURES, N_CLASSES)
