"""The rows of the table; each measures one ratio, its two sides by turns."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import redis
import tensorflow as tf

from detectors import ModelDistillation, save_detector
from monitor.bench.delay import measure_delays
from monitor.bench.deployment import CountedOffsets, Deployment, temporary_deployment
from monitor.bench.events import Event
from monitor.bench.throughput import drain_bare, drain_worker
from monitor.bench.worker_process import MeasuredWorker
from monitor.config import Config
from tests.benchmarks.targets.servers import DISTINCT, Servers, tabular_tensors, tensor_events
from tests.workers import WorkerUnderTest, monitor_config

IMAGE_SHAPE = (32, 32, 3)
IMAGE_CLASSES = 10
NARROW = (64, 32, 16)
"""Filters of the narrow student: a quarter of those of the student that comes with the CIFAR-10 images."""
SEGMENTS = 10_000
PARTITIONS = 2
MONITORS = 100
OPEN_WINDOWS = 100
OPEN_SCORES = 1000
FORWARD_SECONDS = 1.0
FORWARD_BATCHES = (16, 32, 64, 128, 256, 512, 1024)
DELAY_SECONDS = 20.0
RATE = 1000.0
MEBIBYTE = 2**20


def json_over_bare(servers: Servers, label: str) -> float:
    """JSON, 30 features and 2 classes, one worker, over the bare drain."""
    config = servers.config(servers.tiny.path)
    with servers.filled(config, servers.json_events(), 300_000) as deployment:
        return _over_bare(deployment, 300_000)


def tensors_over_bare(servers: Servers, label: str) -> float:
    """Raw float32 tensors, 30 features, one worker, over the bare drain."""
    config = servers.config(servers.tiny.path, input={"format": "tensor"})
    with servers.filled(config, tabular_tensors(), 500_000) as deployment:
        return _over_bare(deployment, 500_000)


def tensors_over_forward_pass(servers: Servers, label: str) -> float:
    """Raw tensors of CIFAR size, narrow student, one worker, over the forward pass at its best batch size."""
    student = _convolutional(*NARROW)
    bundle = servers.directory / f"narrow-{label}"
    reference = np.random.default_rng(0).exponential(size=500)
    save_detector(ModelDistillation(distilled_model=student, threshold=1.0), bundle, reference=reference)
    config = servers.config(bundle, input={"format": "tensor"})
    events = tensor_events(500, int(np.prod(IMAGE_SHAPE)), IMAGE_CLASSES)
    with servers.filled(config, events, 20_000) as deployment:
        before = _forward_pass(student)
        worker = drain_worker(deployment.for_run("worker"), 20_000).events_per_second
        return worker / np.mean([before, _forward_pass(student)])


def segments(servers: Servers, label: str) -> float:
    """Cost per event with 10,000 segments, over that with one."""
    config = servers.config(servers.tiny.path, segment_by="field")
    rates = []
    for n in (1, SEGMENTS):
        with servers.filled(config, servers.json_events(n), 600_000) as deployment:
            rates.append(drain_worker(deployment.for_run("worker"), 600_000).events_per_second)
    return rates[0] / rates[1]


def monitors(servers: Servers, label: str) -> float:
    """Cost per event and monitor with 100 monitors on one topic, over that with one."""
    rates = []
    for n, count in ((1, 600_000), (MONITORS, 60_000)):
        config = servers.config(servers.tiny.path, n)
        with servers.filled(config, servers.json_events(), count) as deployment:
            rates.append(drain_worker(deployment.for_run("worker"), count).events_per_second)
    return rates[0] / rates[1] / MONITORS


def two_workers(servers: Servers, label: str) -> float:
    """Events a second of two workers on two partitions over one's, model-bound; each has one core."""
    bundle = servers.directory / f"wide-{label}"
    student = tf.keras.models.load_model(servers.cifar10 / "distilled.keras", compile=False)
    reference = np.random.default_rng(0).exponential(size=500)
    save_detector(ModelDistillation(distilled_model=student, threshold=1.0), bundle, reference=reference)
    config = servers.config(bundle, input={"format": "tensor"})
    events = tensor_events(500, int(np.prod(IMAGE_SHAPE)), IMAGE_CLASSES)
    count = 8_000
    return _drain_with(servers, config, events, 2, count) / _drain_with(servers, config, events, 1, count)


def delay(servers: Servers, label: str) -> float:
    """Milliseconds from event to visible alert, 99th percentile, at 1,000 events/s."""
    config = servers.config(servers.tiny.path)
    with temporary_deployment(config, config.monitors, 1) as deployment:
        report = measure_delays(
            deployment, servers.json_events(), rate=RATE, seconds=DELAY_SECONDS, partitions=1
        )
    assert report.alert is not None
    return report.alert.p99


def memory(servers: Servers, label: str) -> float:
    """MiB of a worker that has drained a topic, over those of TensorFlow with the student loaded."""
    config = servers.config(servers.tiny.path)
    with servers.filled(config, servers.json_events(), 300_000) as deployment:
        resident = drain_worker(deployment.for_run("worker"), 300_000).resident_mb
    code = (
        "import sys, tensorflow, keras; from monitor.bench.worker_process import resident_mb;"
        "model = keras.models.load_model(sys.argv[1], compile=False); print(resident_mb())"
    )
    alone = _python("-c", code, str(servers.tiny.path / "distilled.keras"))
    return resident - float(alone.split()[-1])


def window_memory(servers: Servers, label: str) -> float:
    """Bytes of Redis for an open window of 1,000 scores, with all that is kept beside it."""
    config = servers.config(servers.tiny.path, segment_by="field", window={"size": 2 * OPEN_SCORES})
    count = OPEN_WINDOWS * OPEN_SCORES
    with (
        servers.filled(config, servers.json_events(OPEN_WINDOWS), count) as deployment,
        closing(redis.Redis.from_url(servers.redis.url)) as client,
    ):
        drain_worker(deployment.for_run("worker"), count)
        sizes = (client.memory_usage(key, samples=0) or 0 for key in client.scan_iter())
        return sum(sizes) / OPEN_WINDOWS


def start(servers: Servers, label: str) -> float:
    """Seconds from ``drift-monitor worker`` to its first event, over those of ``import tensorflow``."""
    config = servers.config(servers.tiny.path)
    began = time.perf_counter()
    _python("-c", "import tensorflow")
    imported = time.perf_counter() - began
    with servers.filled(config, servers.json_events(), 2_000) as deployment:
        run = deployment.for_run("worker")
        topics = {
            name: f"{deployment.name}-{rest}"
            for name, rest in (("events", "events"), ("alerts", "alerts"), ("rejected", "rejected"))
        }
        content = monitor_config(
            servers.kafka.bootstrap,
            servers.redis.url,
            servers.tiny.path,
            topics,
            name=run.monitors[0].name,
            kafka={"group.id": run.kafka.properties["group.id"]},
            redis={"prefix": run.redis.prefix},
        )
        directory = servers.directory / f"start-{label}"
        with closing(CountedOffsets(run)) as counted, WorkerUnderTest(directory, content) as worker:
            began = time.perf_counter()
            worker.start()
            worker.wait_for("the first event", lambda: counted.total())
            started = time.perf_counter() - began
            worker.stop()
    return started / imported


def _over_bare(deployment: Deployment, count: int) -> float:
    bare = drain_bare(deployment.for_run("bare"), count)
    return drain_worker(deployment.for_run("worker"), count).events_per_second / bare


def _forward_pass(model: tf.keras.Model) -> float:
    """Instances a second of the compiled model alone, at the batch size that is best."""
    forward = tf.function(
        lambda x: model(x, training=False),
        input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)],
    )
    best = 0.0
    for batch in FORWARD_BATCHES:
        x = tf.random.uniform((batch, *model.input_shape[1:]))
        forward(x)
        began, calls = time.perf_counter(), 0
        while time.perf_counter() - began < FORWARD_SECONDS:
            forward(x).numpy()
            calls += 1
        best = max(best, calls * batch / (time.perf_counter() - began))
    return best


def _convolutional(*filters: int) -> tf.keras.Model:
    """A student built like the one of the CIFAR-10 models."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input(IMAGE_SHAPE),
            *(layers.Conv2D(n, 4, strides=2, padding="same", activation="relu") for n in filters),
            layers.Flatten(),
            layers.Dense(IMAGE_CLASSES, activation="softmax"),
        ]
    )


def _drain_with(
    servers: Servers, config: Config, events: Sequence[Event], n_workers: int, count: int
) -> float:
    """Events a second of some workers on two partitions, each worker on a core of its own."""
    cores = sorted(os.sched_getaffinity(0))
    with servers.filled(config, events, 0, PARTITIONS) as deployment, ExitStack() as stack:
        run = deployment.for_run("workers")
        counted = stack.enter_context(closing(CountedOffsets(run)))
        workers = []
        for number in range(n_workers):
            with _on_core(cores[number % len(cores)]):
                workers.append(stack.enter_context(MeasuredWorker(run)))
        sent = 0
        # A worker that has scored something has joined the group.
        while not all(worker.usage().stages.get("model", 0.0) > 0 for worker in workers):
            servers.fill(deployment, events, PARTITIONS, PARTITIONS)
            sent += PARTITIONS
            workers[0].wait_until(lambda sent=sent: counted.total() >= sent)  # type: ignore[misc]
        servers.fill(deployment, events, count, PARTITIONS)
        already, began = counted.total(), time.perf_counter()
        workers[0].wait_until(lambda: counted.total() >= sent + count)
        return (sent + count - already) / (time.perf_counter() - began)


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    """Have processes started within run on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _python(*arguments: str) -> str:
    repository = Path(__file__).resolve().parents[3]
    return subprocess.run(
        [sys.executable, *arguments], cwd=repository, capture_output=True, text=True, check=True
    ).stdout


Row = Callable[[Servers, str], float]

ROWS: dict[str, tuple[Row, str, float]] = {
    "json": (json_over_bare, "at least", 0.5),
    "tensors": (tensors_over_bare, "at least", 0.7),
    "model": (tensors_over_forward_pass, "at least", 0.9),
    "segments": (segments, "at most", 2.0),
    "monitors": (monitors, "at most", 0.2),
    "two-workers": (two_workers, "at least", 1.7),
    "delay": (delay, "at most", 150.0),
    "window-memory": (window_memory, "at most", 6000.0),
    "memory": (memory, "at most", 150.0),
    "start": (start, "at most", 2.0),
}
"""By name: what measures it, and its target."""
assert DISTINCT >= SEGMENTS
