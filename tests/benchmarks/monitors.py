"""What a monitor more costs: many monitors of one topic and detector, beside a single one.

Run as ``python -m tests.benchmarks.monitors``. A real Redis is started; the records are in memory, so that
neither broker nor network hides the cost. Monitors differ in window and test. ``--scores`` adds what sending
every score costs to encode.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from monitor.alerts.alert import Alert
from monitor.config import MonitorConfig
from monitor.garbage import spare_what_is_loaded
from monitor.pipeline import Pipeline
from monitor.scores_topic import encode_scores
from monitor.stages import Stages
from monitor.stores.in_redis import RedisStores
from monitor.topic_reader import TopicReader
from monitor.verdicts.ledger import Delivered
from monitor.watch import open_watches
from streams.records import RecordBatch
from streams.state.redis_connection import RedisConnection
from tests.records_in_memory import InMemoryRecord
from tests.servers.redis import RedisServer
from tests.traffic import TinyDetector

BATCH = 5000
WINDOWS = (100, 200, 250, 500, 1000)
TESTS = ("ks_2samp", "mannwhitneyu", "flagged_fraction")


class NoDeadLetters:
    """For events that are all valid."""

    def send(self, topic: str, records: RecordBatch, rejected: Sequence[Any]) -> None:
        raise AssertionError(f"{len(rejected)} events were rejected: {rejected[0]}")


def deliver_at_once(topic: str, alert: Alert) -> Delivered:
    """Count alerts as delivered."""
    return Delivered()


def monitors(bundle: Path, count: int, prefix: str) -> list[MonitorConfig]:
    """Configs of monitors that differ in window and test; the first is as plain as can be."""
    return [
        MonitorConfig.model_validate(
            {
                "name": f"{prefix}-{number}",
                "input": {"topic": "events"},
                "detector": str(bundle),
                "window": {"size": WINDOWS[number % len(WINDOWS)]},
                "test": {"name": TESTS[number % len(TESTS)], "p_val": 1e-6},
                "alerts": {"topic": "alerts"},
                "dead_letters": {"topic": "rejected"},
            }
        )
        for number in range(count)
    ]


def measure(tiny: TinyDetector, redis_url: str, count: int, batches: int, number: int) -> dict[str, float]:
    """Microseconds an event of so many monitors, and milliseconds of a tick between batches."""
    connection = RedisConnection(redis_url)
    configs = monitors(tiny.path, count, f"n{count}-{number}")
    stores = RedisStores(connection, "bench")
    watches = open_watches(configs, stores, deliver_at_once, state=None)
    pipeline = Pipeline(watches, stores, NoDeadLetters())
    pipeline.attach()
    values = tiny.calm(BATCH, seed=1).values
    work = [
        RecordBatch(
            "events", [InMemoryRecord(value, None, None, n * BATCH + i) for i, value in enumerate(values)]
        )
        for n in range(batches + 1)
    ]
    pipeline.count(pipeline.score(work[0]))  # TensorFlow builds its graph, Redis learns the scripts.
    pipeline.tick()
    pipeline.stages.seconds.clear()
    spare_what_is_loaded()  # As a worker does.
    spent = ticks = 0.0
    for batch in work[1:]:
        started = time.perf_counter()
        pipeline.count(pipeline.score(batch))
        spent += time.perf_counter() - started
        started = time.perf_counter()
        pipeline.tick()
        ticks += time.perf_counter() - started
    connection.close()
    events = batches * BATCH
    stages = {stage: seconds / events * 1e6 for stage, seconds in pipeline.stages.seconds.items()}
    return {"event": (spent + ticks) / events * 1e6, "tick_ms": ticks / batches * 1e3, **stages}


def measure_scores(tiny: TinyDetector, redis_url: str) -> float:
    """Microseconds an event to encode its score."""
    connection = RedisConnection(redis_url)
    watches = open_watches(
        monitors(tiny.path, 1, "scores"), RedisStores(connection, "bench"), deliver_at_once, state=None
    )
    records = [
        InMemoryRecord(value, b"key", None, i) for i, value in enumerate(tiny.calm(BATCH, seed=1).values)
    ]
    (part,) = TopicReader(watches).read(RecordBatch("events", records), Stages(lambda *_: None)).parts
    started = time.perf_counter()
    for _ in range(10):
        encode_scores("scores", "events", part, 0.5)
    connection.close()
    return (time.perf_counter() - started) / (10 * BATCH) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--monitors", type=int, default=100)
    parser.add_argument("--batches", type=int, default=10, help=f"of {BATCH} events")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--scores", action="store_true", help="time the encoding of scores too")
    parser.add_argument("--json", action="store_true", help="print one line of JSON last")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, RedisServer() as redis:
        tiny = TinyDetector(Path(name) / "bundle")
        rounds = []
        for number in range(options.repetitions):
            one = measure(tiny, redis.url, 1, options.batches, number)
            many = measure(tiny, redis.url, options.monitors, options.batches, number)
            ratio = many["event"] / options.monitors / one["event"]
            rounds.append(ratio)
            for count, found in ((1, one), (options.monitors, many)):
                parts = ", ".join(
                    f"{stage} {value:.2f}" for stage, value in found.items() if stage != "event"
                )
                print(f"{count:>4} monitors: {found['event']:8.2f} us an event ({parts})")
            print(f"an event and monitor of {options.monitors} costs {ratio:.3f} of one of 1", flush=True)
        result = {"monitors": options.monitors, "ratio": statistics.median(rounds)}
        if options.scores:
            result["encode_score_us"] = measure_scores(tiny, redis.url)
        print(json.dumps(result) if options.json else f"median {result['ratio']:.3f}; {result}")


if __name__ == "__main__":
    main()
