"""The same events through the worker, two workers, the Faust app and a backtest; fails where they differ.

``python -m tests.benchmarks.same_verdicts --events 50000``
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from confluent_kafka.admin import AdminClient, NewTopic

from tests.same_verdicts import Outcome, Trial
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.traffic import TinyDetector


def main(count: int) -> int:
    """Run all ways and print what each made of the events; returns how many differ from the worker."""
    with tempfile.TemporaryDirectory() as directory, RedisServer() as redis:
        kafka = KafkaBroker().start()
        try:
            tiny = TinyDetector(Path(directory) / "tiny")
            admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

            def topic(name: str = "topic", partitions: int = 1) -> str:
                unique = f"{name}-{uuid4().hex[:8]}"
                admin.create_topics([NewTopic(unique, partitions)])[unique].result(timeout=30)
                return unique

            trial = Trial.prepare(kafka.bootstrap, redis.url, tiny, topic, count)
            ways = {
                "worker": trial.by_worker,
                "two workers": trial.by_two_workers,
                "Faust app": trial.by_faust,
                "backtest": trial.by_backtest,
            }
            outcomes: dict[str, Outcome] = {}
            columns = ("scores", "verdicts", "drifted", "alerts", "seconds", "differs")
            print(" " * 12, *(f"{column:>9}" for column in columns))
            for name, way in ways.items():
                began = time.monotonic()
                outcomes[name] = found = way()
                verdicts = [one for of_segment in found.verdicts.values() for one in of_segment]
                row = (
                    sum(map(len, found.scores.values())),
                    len(verdicts),
                    sum(drift for *_, drift, _, _ in verdicts),
                    sum(map(len, found.alerts.values())),
                    round(time.monotonic() - began, 1),
                    "no" if _same(found, outcomes["worker"]) else "YES",
                )
                print(f"{name:12}", *(f"{cell!s:>9}" for cell in row), flush=True)
            return sum(not _same(found, outcomes["worker"]) for found in outcomes.values())
        finally:
            kafka.close()


def _same(found: Outcome, of_worker: Outcome) -> bool:
    """Tell whether two ways agree; a backtest tells no scores."""
    return found == of_worker if found.scores else found.decided == of_worker.decided


if __name__ == "__main__":
    # So that servers are stopped as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    sys.exit(main(parser.parse_args().events))
