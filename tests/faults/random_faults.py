"""Faults that befall a running worker and its servers, one kind after the other in random order."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping

from tests.faults.memory_watch import Watch
from tests.faults.processes import WorkerProcess
from tests.servers.kafka import KafkaBroker
from tests.servers.redis import RedisServer
from tests.workers import WorkerUnderTest, wait_until

SESSION_SECONDS = 6.0
"""Of the workers; the shortest that a broker allows by default."""
RECOVER_SECONDS = 180.0
KINDS = 9
"""Of faults."""


class RandomFaults:
    """What may befall a worker.

    Parameters
    ----------
    kafka, redis
        The servers.
    worker
        The worker that has to live through it.
    join
        Starts a second worker.
    watch
        Tells whether events are counted.
    total
        Events in all: when these are counted, there is nothing left to await.
    rng
        Chooses.
    """

    def __init__(
        self,
        kafka: KafkaBroker,
        redis: RedisServer,
        worker: WorkerUnderTest,
        join: Callable[[], WorkerProcess],
        watch: Watch,
        total: int,
        rng: random.Random,
    ) -> None:
        self._worker, self._join, self._watch = worker, join, watch
        self._total, self._rng = total, rng
        self._waiting: list[str] = []
        self.done: Counter[str] = Counter()
        self._kinds: Mapping[str, Callable[[], None]] = {
            "Redis restarted": redis.restart,
            "Redis killed": lambda: _crash(redis),
            "Redis frozen": lambda: self._freeze(redis),
            "broker restarted": kafka.restart,
            "broker killed": lambda: _crash(kafka),
            "broker frozen": lambda: self._freeze(kafka),
            "worker frozen past its session": self._make_zombie,
            "second worker came and left": lambda: self._visit(WorkerProcess.stop),
            "second worker came and was killed": lambda: self._visit(WorkerProcess.kill),
        }

        assert len(self._kinds) == KINDS

    def strike(self) -> None:
        """Bring one about and await that events are counted again."""
        self._waiting = self._waiting or self._rng.sample(sorted(self._kinds), len(self._kinds))
        kind = self._waiting.pop()
        self._kinds[kind]()
        before = self._watch.counted
        self._worker.wait_for(
            f"progress after: {kind}",
            lambda: self._watch.counted > before or before == self._total,
            RECOVER_SECONDS,
        )
        self.done[kind] += 1

    def _freeze(self, server: KafkaBroker | RedisServer) -> None:
        server.freeze()
        time.sleep(self._rng.uniform(1, 8))
        server.thaw()

    def _visit(self, end: Callable[[WorkerProcess], None]) -> None:
        guest = self._guest()
        time.sleep(self._rng.uniform(0, 4))
        assert guest.running, guest.log
        end(guest)

    def _guest(self) -> WorkerProcess:
        """Let a second worker join, and await that it has partitions."""
        guest = self._join()
        wait_until("a second worker at work", lambda: "Reading" in guest.log, RECOVER_SECONDS)
        return guest

    def _make_zombie(self) -> None:
        guest = self._guest()
        self._worker.process.send_signal(signal.SIGSTOP)
        time.sleep(SESSION_SECONDS + self._rng.uniform(1, 4))
        self._worker.process.send_signal(signal.SIGCONT)
        time.sleep(self._rng.uniform(0, 4))
        assert guest.running, guest.log
        guest.stop()


def _crash(server: KafkaBroker | RedisServer) -> None:
    server.kill()
    server.start()
