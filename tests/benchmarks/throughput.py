"""Events a second through the deployed worker, beside a bare consume loop on the same topic.

Run as ``python -m tests.benchmarks.throughput``. A real Kafka and a real Redis are started for it. The topic
is filled once; then loop and worker drain it by turns, each time from its start. The worker is the process
that ``drift-monitor worker`` starts, with a monitor of its own each time, and its time runs from the first
event that Redis counts to the last. librdkafka fetches up to 100,000 records ahead of both; more
``--events`` than that show what lasts. ``--stages`` tells where the time goes within the process.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient, NewTopic

from monitor.assembly import open_worker
from monitor.config.file import load_config
from streams.codecs.protocol import codec_class
from streams.records import RecordBatch
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import MonitorState, TinyDetector, publish
from tests.workers import WorkerUnderTest, monitor_config, write_config

TOPICS = {"events": "events", "alerts": "alerts", "rejected": "rejected"}
WINDOW = 100
BATCH = 5000
DECIMALS = 6
"""Of each number, as services write them; it makes events of about 340 bytes."""
DISTINCT = 20_000
"""Events that differ; the topic repeats them."""
POLL_SECONDS = 0.005
"""How often Redis is asked how far the worker is: the resolution of the measured time."""


def fill(bootstrap: str, tiny: TinyDetector, count: int, partitions: int) -> int:
    """Create the topics and fill the one of events; returns the mean size of an event in bytes."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = [NewTopic(name, partitions if name == "events" else 1) for name in TOPICS.values()]
    for created in admin.create_topics(topics).values():
        created.result(30)
    events = tiny.calm(min(count, DISTINCT), seed=1)
    distinct = [
        json.dumps({"instance": instance, "prediction": prediction}, separators=(",", ":")).encode()
        for instance, prediction in zip(
            np.round(events.instances.astype(float), DECIMALS).tolist(),
            np.round(events.predictions.astype(float), DECIMALS).tolist(),
            strict=True,
        )
    ]
    values = [distinct[i % len(distinct)] for i in range(count)]
    publish(bootstrap, TOPICS["events"], values, partitions=[i % partitions for i in range(count)])
    return sum(map(len, distinct)) // len(distinct)


def consume_all(bootstrap: str, group: str, count: int, each: Callable[[list[Any]], None]) -> float:
    """Read all events as the worker does, in batches; returns the seconds an event after the first batch."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPICS["events"]])
    seen = first = 0
    started = 0.0
    while seen < count:
        messages = consumer.consume(BATCH, 0.05)
        each(messages)
        seen += len(messages)
        if messages and not first:
            first, started = seen, time.perf_counter()
    seconds = time.perf_counter() - started
    consumer.close()
    return seconds / (count - first)


def touch(messages: list[Any]) -> None:
    """Do the least that can be done with records."""
    for message in messages:
        message.value()


def drain_bare(bootstrap: str, round_number: int, count: int) -> float:
    """Events a second of the bare loop."""
    return 1 / consume_all(bootstrap, f"bare-{round_number}", count, touch)


def drain_worker(
    directory: Path, bootstrap: str, redis_url: str, bundle: Path, round_number: int, count: int
) -> float:
    """Events a second of the worker's process."""
    name = f"m{round_number}"
    config = worker_config(bootstrap, redis_url, bundle, name)
    with WorkerUnderTest(directory / name, config) as worker, MonitorState(redis_url, name) as state:
        worker.start()
        already = worker.wait_for("the first event", lambda: sum(state.counted().values()))
        started = time.perf_counter()
        worker.wait_for("the last event", lambda: sum(state.counted().values()) >= count)
        seconds = time.perf_counter() - started
        assert worker.stop() == 0, worker.log
    return (count - already) / seconds


def worker_config(bootstrap: str, redis_url: str, bundle: Path, name: str) -> dict[str, Any]:
    """Config of one monitor with a consumer group of its own."""
    return monitor_config(
        bootstrap,
        redis_url,
        bundle,
        TOPICS,
        name=name,
        window={"size": WINDOW},
        test={"p_val": 1e-6},
        kafka={"group.id": name},
    )


def profile_stages(
    directory: Path, bootstrap: str, redis_url: str, bundle: Path, count: int, functions: int
) -> dict[str, float]:
    """Microseconds an event of each stage of the pipeline, in this process; prints the costliest functions.

    Decoding is timed once more by itself, since ``score`` decodes and scores.
    """
    path = write_config(directory / "profile", worker_config(bootstrap, redis_url, bundle, "profile"))
    pipeline = open_worker(load_config(path))._pipeline
    pipeline.attach()
    batches: list[RecordBatch] = []

    def keep(messages: list[Any]) -> None:
        if messages:
            batches.append(RecordBatch(TOPICS["events"], messages))

    consumed = consume_all(bootstrap, "profile", count, keep)
    spent: dict[str, float] = {}
    (watch,) = pipeline.watches
    codec = codec_class("json")(watch.schema)
    pipeline.count(pipeline.score(batches[0]))  # TensorFlow builds its graph, Redis learns the scripts.

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        spent[stage] = spent.get(stage, 0.0) + time.perf_counter() - started
        return result

    measured = 0
    for batch in batches[1:]:
        fresh = RecordBatch(batch.topic, batch.messages)
        events = timed("decode", lambda: codec.decode(fresh))  # noqa: B023
        timed("model", lambda: watch.score(events))  # noqa: B023
        again = RecordBatch(batch.topic, batch.messages)
        scored = timed("score, with both", lambda: pipeline.score(again))  # noqa: B023
        timed("count", lambda: pipeline.count(scored))  # noqa: B023
        measured += len(batch)
    stages = {"consume": consumed * 1e6}
    stages |= {stage: seconds / measured * 1e6 for stage, seconds in spent.items()}
    if functions:
        print_profile(directory, bootstrap, redis_url, bundle, batches, functions)
    return stages


def print_profile(
    directory: Path, bootstrap: str, redis_url: str, bundle: Path, batches: list[RecordBatch], functions: int
) -> None:
    """Run the pipeline again under cProfile and print where it spends its time."""
    path = write_config(directory / "cprofile", worker_config(bootstrap, redis_url, bundle, "cprofile"))
    pipeline = open_worker(load_config(path))._pipeline
    pipeline.attach()
    pipeline.count(pipeline.score(batches[0]))
    profiler = cProfile.Profile()
    profiler.enable()
    for batch in batches[1:]:
        pipeline.count(pipeline.score(RecordBatch(batch.topic, batch.messages)))
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(functions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--stages", action="store_true", help="tell how long each stage takes")
    parser.add_argument("--profile", type=int, default=0, metavar="N", help="list the N costliest functions")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, KafkaBroker(heap="1g") as kafka, RedisServer() as redis:
        directory = Path(name)
        tiny = TinyDetector(directory / "bundle")
        size = fill(kafka.bootstrap, tiny, options.events, options.partitions)
        print(f"{options.events} events of {size} bytes in {options.partitions} partitions")
        print(f"{'round':>5} {'bare loop/s':>12} {'worker/s':>10} {'ratio':>7}")
        rounds = []
        for number in range(1, options.repetitions + 1):
            bare = drain_bare(kafka.bootstrap, number, options.events)
            worker = drain_worker(directory, kafka.bootstrap, redis.url, tiny.path, number, options.events)
            rounds.append({"bare": bare, "worker": worker, "ratio": worker / bare})
            print(f"{number:>5} {bare:>12,.0f} {worker:>10,.0f} {worker / bare:>7.2f}", flush=True)
        median = {key: statistics.median(row[key] for row in rounds) for key in rounds[0]}
        print(f"{'median':>5} {median['bare']:>11,.0f} {median['worker']:>10,.0f} {median['ratio']:>7.2f}")
        result: dict[str, Any] = {"events": options.events, "bytes": size, "rounds": rounds, "median": median}
        if options.stages or options.profile:
            result["microseconds"] = stages = profile_stages(
                directory, kafka.bootstrap, redis.url, tiny.path, options.events, options.profile
            )
            for stage, microseconds in stages.items():
                print(f"{stage:>20} {microseconds:6.2f} us an event")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
