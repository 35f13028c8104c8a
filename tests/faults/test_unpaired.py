"""Workers that are killed while they send requests again that no response came for: each counts once."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition

from streams import headers
from tests.faults.points import UNPAIRED_POINTS, Ending
from tests.faults.processes import Treatment, WorkerProcess
from tests.faults.story import PARTITIONS, Place
from tests.halves import HalfRecord, halves_of
from tests.traffic import Events, MonitorState, TinyDetector, consume, publish
from tests.workers import monitor_config, wait_until, write_config

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

SECONDS = 120.0
REQUESTS, PAIRS = 6, 4


@dataclass
class Log:
    """What a logger publishes: pairs, and requests whose responses are late."""

    place: Place
    tiny: TinyDetector
    scores: list[float] = field(default_factory=list)
    late: list[HalfRecord] = field(default_factory=list)
    turns: count[int] = field(default_factory=lambda: count(1))

    def publish_some(self) -> None:
        """Publish a few events of each kind."""
        turn = next(self.turns)
        events: Events = self.tiny.calm(REQUESTS + PAIRS, seed=turn)
        self.scores += events.scores.tolist()
        sent = []
        for number, (x, p) in enumerate(zip(events.instances, events.predictions, strict=True)):
            request, response = halves_of(f"{turn}-{number}", x, p)
            sent.append(request)
            (self.late if number < REQUESTS else sent).append(response)
        self._publish(sent)

    def publish_late_responses(self) -> None:
        """Publish those responses that were missing."""
        self._publish(self.late)

    def repeat_returned_requests(self) -> None:
        """Publish what is returned so far once more, as a worker does that woke up after others took over."""
        topic = self.place.topics["events"]
        records = consume(self.place.bootstrap, topic, sum(self.ends().values()), seconds=SECONDS)
        told = [(record.value(), record.headers() or []) for record in records]
        returned = [HalfRecord(*one) for one in told if headers.RETURNED_FROM in dict(one[1])]
        assert len(returned) >= REQUESTS
        self._publish(returned)

    def ends(self) -> dict[int, int]:
        """For each partition that holds anything, the offset after its last record."""
        consumer = Consumer({"bootstrap.servers": self.place.bootstrap, "group.id": "ends"})
        topic = self.place.topics["events"]
        found = {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=SECONDS)[1]
            for number in range(PARTITIONS)
        }
        consumer.close()
        return {number: end for number, end in found.items() if end}

    def _publish(self, records: list[HalfRecord]) -> None:
        publish(
            self.place.bootstrap,
            self.place.topics["events"],
            [record.value for record in records],
            headers=[record.headers for record in records],  # type: ignore[misc]
            partitions=[number % PARTITIONS for number in range(len(records))],
        )


def test_worker_killed_while_it_returns_requests_counts_each_once(
    place: Place, tiny_detector: TinyDetector, tmp_path: Path
) -> None:
    log = Log(place, tiny_detector)
    path = write_config(tmp_path, _config(place))
    waiting = f"drift:{{PAIRS:{place.topics['events']}}}:waiting"
    with redis.Redis.from_url(place.redis_url) as client, MonitorState(place.redis_url) as state:
        for number, point in enumerate(UNPAIRED_POINTS):
            log.publish_some()
            dying = WorkerProcess(path, tmp_path / f"{number}.log", Treatment(Ending(point)))
            wait_until(f"the end at {point!r}", lambda w=dying: not w.running, SECONDS)  # type: ignore[misc]
            assert dying.killed, dying.log
            # As if a minute had passed, after which others take over what this one has not settled.
            if members := client.zrange(waiting, 0, -1):
                client.zadd(waiting, dict.fromkeys(members, 0), xx=True)
        log.repeat_returned_requests()
        last = WorkerProcess(path, tmp_path / "last.log")
        try:

            def all_given_up() -> bool:
                assert last.running, last.log
                return not client.zcard(waiting) and state.counted() == log.ends()

            wait_until("the requests", all_given_up, SECONDS)
            log.publish_late_responses()
            letters = consume(place.bootstrap, place.topics["rejected"], len(log.late), seconds=SECONDS)
            wait_until("the responses", all_given_up, SECONDS)
            last.stop()
        finally:
            last.kill()
        left = state.left_open()

    assert left is not None
    np.testing.assert_allclose(np.sort(left.scores), np.sort(log.scores), rtol=1e-4, atol=1e-6)
    rejected = [dict(letter.headers() or []) for letter in letters]
    assert {told[headers.REJECT_REASON] for told in rejected} == {b"unpaired"}
    assert {told["ce_type"] for told in rejected} == {b"x.response"}
    assert len({told["ce_id"] for told in rejected}) == len(log.late)


def _config(place: Place) -> dict[str, Any]:
    return monitor_config(
        place.bootstrap,
        place.redis_url,
        place.bundle,
        dict(place.topics),
        input={"format": "pairs", "options": {"within_seconds": 0.2, "unpaired": "run"}},
        window={"size": 1000},
        kafka={"group.instance.id": "one", "session.timeout.ms": 6000, "heartbeat.interval.ms": 500},
        worker={"commit_interval_seconds": 0.05},
    )
