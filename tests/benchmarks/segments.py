"""What segments cost: planning, Redis and memory as the same events spread over more of them.

Run as ``python -m tests.benchmarks.segments``. A real Redis is started for it. Times are CPU seconds, of this
process for planning and of Redis for its part, so that a busy machine does not show in them; the least of
several batches is reported, once all windows are under way.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from streams.state.batches import Batch
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.window_store import WindowStore
from streams.state.windows import ScoredRows, WindowPolicy
from tests.servers.redis import RedisServer

WINDOW = 100
MEMORY_WINDOW = 1000
"""Scores that an open window holds when its memory is measured."""
HEADER = ["segments", "batch", "us/event plan", "us/event redis", "us/event both", "bytes/open window"]
ROW = "{:>9} {:>7} {:>14} {:>15} {:>14} {:>18}"


class Feed:
    """Batches of events with random scores on their way into the windows of one monitor.

    Parameters
    ----------
    url
        Where Redis is.
    window
        Size of the windows.
    segments
        How many segments the events belong to, all as often.
    """

    def __init__(self, url: str, window: int, segments: int) -> None:
        self.connection = RedisConnection(url)
        with self.connection.client() as client:
            client.flushall()
        self._store = WindowStore(self.connection, MonitorKeys("drift", "m"), WindowPolicy(window, window))
        self._store.attach()
        self._names = [f"segment-{i}" for i in range(segments)]
        self._rng = np.random.default_rng(0)
        self._next = 0

    def add(self, segments: np.ndarray) -> tuple[float, float]:
        """Append one event to each of the segments numbered; returns CPU seconds of planning and of Redis."""
        n = len(segments)
        offsets = np.arange(self._next, self._next + n)
        ids = [f"{offset:032x}" for offset in offsets.tolist()]
        scores = self._rng.random(n, dtype=np.float32)
        rows = ScoredRows(scores, np.zeros(n, np.int32), offsets, offsets, np.arange(n), ids)
        names = None if len(self._names) == 1 else [self._names[i] for i in segments.tolist()]
        self._next += n
        batch = Batch(rows, names, {0: self._next})
        redis_before, before = self._redis_seconds(), time.process_time()
        call = self._store.append_call(batch)
        between = time.process_time()
        assert call is not None
        (reply,) = self.connection.run([call])
        redis_seconds, after = self._redis_seconds() - redis_before, time.process_time()
        assert self._store.append_reply(batch, reply) is not None
        return between - before + time.process_time() - after, redis_seconds

    def add_some(self, n: int) -> tuple[float, float]:
        """Append events of random segments."""
        return self.add(self._rng.integers(len(self._names), size=n))

    def _redis_seconds(self) -> float:
        with self.connection.client() as client:
            info = client.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def bytes_held(self) -> int:
        """Memory of all keys of the monitor."""
        with self.connection.client() as client:
            return sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter("drift:*"))


def measure(url: str, segments: int, batch: int, repetitions: int) -> list[str]:
    """One row of the table."""
    feed = Feed(url, WINDOW, segments)
    for _ in range(max(2, min(20, 20 * segments // batch))):
        feed.add_some(batch)
    times = np.array([feed.add_some(batch) for _ in range(repetitions)]) / batch * 1e6
    plan, redis = np.min(times, axis=0)
    few = min(segments, 1000)
    memory = Feed(url, MEMORY_WINDOW + 1, few)
    thin = np.arange(few)
    for _ in range(10):
        memory.add(np.repeat(thin, MEMORY_WINDOW // 10))
    held = memory.bytes_held() // few
    return [f"{segments}", f"{batch}", f"{plan:.2f}", f"{redis:.2f}", f"{plan + redis:.2f}", f"{held}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, nargs="+", default=[1, 100, 1000, 10_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[5000, 20_000], help="events at a time")
    parser.add_argument("--repetitions", type=int, default=12, help="timed batches a row")
    arguments = parser.parse_args()
    print(f"Windows of {WINDOW}; memory of open windows of {MEMORY_WINDOW} scores with 5 examples.\n")
    print(ROW.format(*HEADER))
    with RedisServer() as server:
        for segments in arguments.segments:
            for batch in arguments.batches:
                row = measure(server.url, segments, batch, arguments.repetitions)
                print(ROW.format(*row), flush=True)


if __name__ == "__main__":
    main()
