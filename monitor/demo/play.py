"""The demo's plot: clean events, harmlessly changed ones, harmful ones, clean ones again."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from detectors import save_detector
from monitor.alerts.subscription import AlertSubscription
from monitor.demo.digits import Images, Traffic, prepare
from monitor.demo.embedded import EmbeddedKafka, EmbeddedRedis
from monitor.demo.story import PHASES, Audience, Phase, Scene, Story
from monitor.demo.worker_process import WorkerProcess
from monitor.errors import MonitorError
from monitor.history import read_verdicts
from monitor.routing import WHOLE_STREAM
from monitor.verdicts.verdict import Verdict
from streams.encoding import encode_json
from streams.kafka.producer import DeliveryConfirmedProducer
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys

MONITOR = "digits"
EVENTS, ALERTS, REJECTED = "inference-events", "drift-alerts", "inference-events-rejected"
WINDOW = 50
PARTITION = 0
"""All events go to one partition, so that no window mixes two phases."""

VERDICT_SECONDS = 40.0
"""How long a verdict may take; the first one waits for the worker to load TensorFlow."""

ENCORE_SECONDS = 2.0
"""How often a window of events comes after the end, for those who stay."""

ALERT_SECONDS = 0.3
"""How long to look out for an alert after a verdict; it was delivered before the verdict was stored."""


def play(audience: Audience, seed: int) -> Story:
    """Run the demo from training to the last verdict.

    Parameters
    ----------
    audience
        Is told what happens.
    seed
        Makes a run repeatable.

    Raises
    ------
    MonitorError
        If the worker does not do its work.
    """
    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory(prefix="drift-monitor-demo-")))
        kafka = stack.enter_context(EmbeddedKafka())
        redis = stack.enter_context(EmbeddedRedis())
        for topic in (EVENTS, ALERTS, REJECTED):
            kafka.create(topic)
        audience.told("Training a classifier of handwritten digits and distilling it into a smaller copy.")
        study = prepare(seed)
        save_detector(study.detector, home / "bundle", reference=study.reference)
        config = home / "monitor.yaml"
        config.write_text(yaml.safe_dump(_config(kafka.bootstrap, redis.url), sort_keys=False))
        audience.opened(config)
        audience.told("Starting the worker on an embedded Kafka broker and an embedded Redis.")
        worker = stack.enter_context(WorkerProcess(config, home / "worker.log"))
        connection = RedisConnection(redis.url)
        stack.callback(connection.close)
        alerts = AlertSubscription({"bootstrap.servers": kafka.bootstrap}, [ALERTS], from_beginning=True)
        stack.callback(alerts.close)
        producer = DeliveryConfirmedProducer({"bootstrap.servers": kafka.bootstrap})
        rng = np.random.default_rng(seed)

        def verdict(number: int) -> Verdict:
            deadline = time.monotonic() + VERDICT_SECONDS
            while time.monotonic() < deadline:
                worker.check()
                known = read_verdicts(connection, MonitorKeys("drift", MONITOR), WHOLE_STREAM)
                if len(known) >= number:
                    return known[number - 1]
                time.sleep(0.05)
            raise MonitorError(
                f"Window {number} had no verdict in time; the worker says: {worker.log_tail()}"
            )

        def send_window(phase: Phase) -> None:
            for value in _window(study.traffic, phase, rng):
                producer.send(EVENTS, value, partition=PARTITION)
            producer.flush(VERDICT_SECONDS)

        scenes = [Scene(phase) for phase in PHASES]
        for scene in scenes:
            for _ in range(scene.phase.windows):
                send_window(scene.phase)
                scene.verdicts.append(verdict(sum(len(known.verdicts) for known in scenes) + 1))
                kinds = [alert.kind.value for alert in alerts.poll(ALERT_SECONDS)]
                scene.alerts += kinds
                audience.saw(scene.phase, scene.verdicts[-1], kinds)
        story = Story(study.traffic.accuracy, scenes)
        if audience.ended(story):
            for phase in cycle(PHASES):
                for _ in range(phase.windows):
                    worker.check()
                    send_window(phase)
                    time.sleep(ENCORE_SECONDS)
        return story


def _config(bootstrap: str, redis_url: str) -> dict[str, Any]:
    return {
        "kafka": {"bootstrap.servers": bootstrap, "group.id": "drift-monitor-demo"},
        "redis": {"url": redis_url},
        "monitors": [
            {
                "name": MONITOR,
                "input": {"topic": EVENTS, "format": "json"},
                "detector": "bundle",
                "window": {"size": WINDOW},
                "test": {"p_val": 0.01, "alternative": "higher"},
                "alerts": {"topic": ALERTS, "raise_after": 2, "resolve_after": 2},
                "dead_letters": {"topic": REJECTED},
            }
        ],
    }


def _window(traffic: Traffic, phase: Phase, rng: np.random.Generator) -> list[bytes]:
    """Draw the events of one window, with replacement, in random order."""
    changed: tuple[Images, Images] = getattr(traffic, phase.kind)
    count = round(phase.share * WINDOW)
    parts = [_draw(phase.kind, changed, count, rng), _draw("clean", traffic.clean, WINDOW - count, rng)]
    order = rng.permutation(WINDOW)
    instances, predictions, ids = (np.concatenate(column)[order] for column in zip(*parts, strict=True))
    return encode_json(instances, predictions, ids=ids.tolist())


def _draw(
    kind: str, part: tuple[Images, Images], count: int, rng: np.random.Generator
) -> tuple[Images, Images, npt.NDArray[np.str_]]:
    chosen = rng.integers(len(part[0]), size=count)
    return part[0][chosen], part[1][chosen], np.array([f"{kind}-{row}" for row in chosen], dtype=np.str_)
