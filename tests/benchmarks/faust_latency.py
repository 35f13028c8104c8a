"""How long a Faust app's own agent takes to get its events, with and without the monitor attached.

``python -m tests.benchmarks.faust_latency``: an app reads one topic with an agent of its own, which parses
JSON and notes how old the event is, and a second topic with inference events. It runs in turn with the
monitor attached, and with an agent in its place that does nothing. Since whatever else the machine does makes
one run unlike the next, the events of a run that met a batch of the monitor's are told from the others too.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from uuid import uuid4

import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import MonitorState, TinyDetector
from tests.workers import monitor_config, wait_until, write_config

SETTLING_SECONDS = 8.0

APP = """
import json, os, sys, time
import faust

app = faust.App(os.environ["APP"], broker="kafka://" + os.environ["BOOTSTRAP"], web_enabled=False,
                datadir=os.environ["DATA"], topic_disable_leader=True, consumer_auto_offset_reset="latest")
ages = open(os.environ["AGES"], "w")

@app.agent(app.topic(os.environ["ORDERS"], value_serializer="json"))
async def orders(stream):
    async for order in stream:
        ages.write(f"{order['sent']} {time.time() - order['sent']}\\n")

if os.environ.get("CONFIG"):
    from monitor.faust_plugin import attach
    from monitor.faust_plugin.intake import Intake
    attach(app, os.environ["CONFIG"])
    take, batches = Intake.take, open(os.environ["AGES"] + ".batches", "w", buffering=1)

    def timed(*given):
        begun = time.time()
        take(*given)
        batches.write(f"{begun} {time.time()}\\n")

    Intake.take = timed
else:
    @app.agent(app.topic(os.environ["EVENTS"], value_serializer="raw"))
    async def others(stream):
        async for event in stream:
            pass

@app.timer(1.0)
async def flush():
    ages.flush()

sys.argv = ["faust", "worker", "--loglevel", "warn"]
app.main()
"""


def main(seconds: float, rate: int, orders_rate: int, rounds: int) -> None:
    """Measure in turns, and print the percentiles of both."""
    with tempfile.TemporaryDirectory() as directory, RedisServer() as redis:
        kafka = KafkaBroker().start()
        try:
            path = Path(directory)
            tiny = TinyDetector(path / "tiny")
            values = tiny.calm(5000, seed=1).values
            found: dict[str, list[np.ndarray]] = {"without": [], "with": [], "with, no batch": []}
            for turn in range(2 * rounds):
                attached = turn % 2 == 1
                ages = _round(
                    path / str(turn),
                    kafka.bootstrap,
                    redis.url,
                    tiny,
                    values,
                    attached,
                    seconds,
                    rate,
                    orders_rate,
                )
                names = ["with", "with, no batch"] if attached else ["without"]
                for name, some in zip(names, ages, strict=True):
                    found[name].append(some)
                    print(f"{name:18} {_percentiles(some)}", flush=True)
            for name, every in found.items():
                print(f"all {name:14} {_percentiles(np.concatenate(every))}")
        finally:
            kafka.close()


def _round(
    path, bootstrap, redis_url, tiny, values, attached, seconds, rate, orders_rate
) -> list[np.ndarray]:  # type: ignore[no-untyped-def]
    """Return the ages of all events, and with the monitor those of the ones that met no batch."""
    path.mkdir()
    names = {name: f"{name}-{uuid4().hex[:8]}" for name in ("orders", "events", "alerts", "rejected")}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for created in admin.create_topics([NewTopic(name, 1) for name in names.values()]).values():
        created.result(timeout=30)
    environment = {
        **os.environ,
        "APP": names["orders"],
        "BOOTSTRAP": bootstrap,
        "DATA": str(path / "data"),
        "AGES": str(path / "ages"),
        "ORDERS": names["orders"],
        "EVENTS": names["events"],
    }
    prefix = names["events"]
    if attached:
        config = monitor_config(
            bootstrap,
            redis_url,
            tiny.path,
            names,
            redis={"prefix": prefix},
            kafka={"auto.offset.reset": "latest"},
        )
        environment["CONFIG"] = str(write_config(path, config))
    process = subprocess.Popen([sys.executable, "-c", APP], env=environment)
    stopping = threading.Event()
    feeding = threading.Thread(
        target=_feed, args=(bootstrap, names["orders"], names["events"], values, rate, orders_rate, stopping)
    )
    try:
        feeding.start()
        with MonitorState(redis_url, prefix=prefix) as state:
            wait_until("orders", lambda: len(_rows(path / "ages")) > orders_rate, 120)
            if attached:
                wait_until("events", lambda: sum(state.counted().values()) > rate, 120)
            # What had piled up before is gone by then, and the model is compiled.
            since = time.time() + SETTLING_SECONDS
            time.sleep(SETTLING_SECONDS + seconds)
    finally:
        stopping.set()
        feeding.join()
        process.terminate()
        process.wait(30)
    rows = _rows(path / "ages")
    sent, ages = rows[rows[:, 0] >= since].T
    if not attached:
        return [ages]
    begins, ends = _rows(path / "ages.batches").T
    met = ((sent[:, np.newaxis] < ends) & ((sent + ages)[:, np.newaxis] > begins)).any(axis=1)
    return [ages, ages[~met]]


def _feed(bootstrap, orders, events, values, rate, orders_rate, stopping) -> None:  # type: ignore[no-untyped-def]
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    began, sent, ordered = time.time(), 0, 0
    while not stopping.is_set():
        elapsed = time.time() - began
        while sent < elapsed * rate:
            producer.produce(events, values[sent % len(values)])
            sent += 1
        while ordered < elapsed * orders_rate:
            producer.produce(orders, json.dumps({"sent": time.time()}))
            ordered += 1
        producer.poll(0.002)
    producer.flush(10)


def _rows(path: Path) -> np.ndarray:
    """Return what has been written in two columns."""
    if not path.exists():
        return np.empty((0, 2))
    lines = path.read_text().rpartition("\n")[0].splitlines()
    return np.array([line.split() for line in lines], float).reshape(-1, 2)


def _percentiles(ages: np.ndarray) -> str:
    p50, p90, p99 = 1000 * np.percentile(ages, [50, 90, 99])
    return f"n {len(ages):6}  p50 {p50:7.2f} ms  p90 {p90:7.2f} ms  p99 {p99:7.2f} ms"


if __name__ == "__main__":
    # So that servers are stopped as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=500, help="inference events a second")
    parser.add_argument("--orders", type=int, default=100, help="events of the app's own agent a second")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.seconds, arguments.rate, arguments.orders, arguments.rounds)
