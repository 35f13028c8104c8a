"""The worker beside what a user would write or pick instead, on one topic, in one run.

Run as ``python -m tests.benchmarks.rivals``. A real Kafka and a real Redis are started for it. The others run
in an environment of their own, made at the first run: alibi-detect's ``ModelDistillation.score`` and
``KSDrift.predict`` on batches of a hundred events, in a plain loop on confluent-kafka, on Quix Streams, and
on Faust. All drain the same topic by turns; each is timed from its first hundred events, or first batch, to
its last. They keep no state and promise nothing about events that are read twice or never.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from confluent_kafka import Producer

from monitor.bench.deployment import Deployment, temporary_deployment
from monitor.bench.events import fill
from monitor.bench.throughput import drain_worker
from monitor.config.file import load_config
from tests.benchmarks.rivals.environment import CONTENDERS, ENVIRONMENT, rivals_python
from tests.benchmarks.rivals.plot import draw
from tests.benchmarks.rivals.settings import SETTINGS, Setting, images, tabular
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.workers import monitor_config, write_config

OURS = "drift-monitor"
RIVALS = {
    "alibi-detect, plain loop": "plain_loop.py",
    "alibi-detect on Quix Streams": "quix_app.py",
    "alibi-detect on Faust": "faust_app.py",
}
CIFAR10 = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10"
TIMEOUT_SECONDS = 600


def run_rival(python: Path, script: str, deployment: Deployment, setting: Setting, label: str) -> float:
    """Events a second of one of the others."""
    command = [
        *(python, CONTENDERS / script),
        *("--bootstrap", deployment.config.kafka.properties["bootstrap.servers"]),
        *("--topic", deployment.events_topic),
        *("--group", f"{deployment.name}-{label}"),
        *("--count", str(setting.theirs)),
        *("--models", setting.bundle.parent),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        # Where Quix Streams and Faust leave their files.
        cwd=setting.bundle.parent,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        sys.exit(f"{script} measured nothing; it said:\n{done.stdout}{done.stderr}")
    return float(json.loads(found[-1])["events_per_second"])


def compare(
    setting: Setting, kafka: KafkaBroker, redis: RedisServer, python: Path, rounds: int
) -> dict[str, list[float]]:
    """Events a second by contender, for each round."""
    topics = {"events": "events", "alerts": "alerts", "rejected": "rejected"}
    content = monitor_config(kafka.bootstrap, redis.url, setting.bundle, topics, test={"p_val": 1e-6})
    config = load_config(write_config(setting.bundle.parent, content))
    found: dict[str, list[float]] = {name: [] for name in (OURS, *RIVALS)}
    with temporary_deployment(config, config.monitors, 1) as deployment:
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 5})
        fill(producer, deployment.events_topic, setting.events, setting.ours, 1)
        for number in range(rounds):
            drained = drain_worker(deployment.for_run(f"worker-{number}"), setting.ours)
            found[OURS].append(drained.events_per_second)
            for name, script in RIVALS.items():
                label = f"{Path(script).stem}-{number}"
                found[name].append(run_rival(python, script, deployment, setting, label))
            row = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in found.items())
            print(f"{setting.name}, round {number + 1}: {row} events/s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--cifar10", type=Path, default=CIFAR10, help="directory of the images and models")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT)
    parser.add_argument("--python", help="interpreter to make the environment with")
    parser.add_argument("--plot", type=Path, help="draw the figures to this file")
    options = parser.parse_args()
    # So that servers are stopped as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    python = rivals_python(options.environment, options.python)
    medians: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name, KafkaBroker(heap="1g") as kafka, RedisServer() as redis:
        for setting_name in options.settings:
            directory = Path(name) / setting_name
            directory.mkdir()
            setting = images(directory, options.cifar10) if setting_name == "images" else tabular(directory)
            found = compare(setting, kafka, redis, python, options.rounds)
            medians[setting_name] = {who: statistics.median(values) for who, values in found.items()}
    for setting_name, rates in medians.items():
        print(f"\n| {setting_name} | events/s | drift-monitor over it |\n| --- | ---: | ---: |")
        for who, rate in rates.items():
            print(f"| {who} | {rate:,.0f} | {rates[OURS] / rate:.1f} |")
    if options.plot is not None:
        draw(options.plot, medians)


if __name__ == "__main__":
    main()
