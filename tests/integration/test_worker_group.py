"""Several workers in one consumer group: one counting, whoever does it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.kafka.consumer import BatchConsumer
from streams.kafka.group_offsets import Partition
from tests.traffic import Account, MonitorState, TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config, wait_for_verdicts, wait_until

LONG_SECONDS = 60.0
WINDOW = 100
PARTITIONS = 4
PORTION = 400
PAUSE_SECONDS = 0.1
"""Between portions, so that the verdicts of a whole run fit into the history that Redis keeps."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


class Traffic:
    """Events that are sent in small portions from a thread, calm and harmful ones by turns."""

    def __init__(self, tiny: TinyDetector, bootstrap: str, topic: str) -> None:
        self._tiny, self._bootstrap, self._topic = tiny, bootstrap, topic
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._portions: list[tuple[list[tuple[int, int]], list[float]]] = []

    def _run(self) -> None:
        seed = 100
        while not self._ending.wait(PAUSE_SECONDS):
            seed += 1
            make = self._tiny.harmful if seed // 4 % 2 else self._tiny.calm
            events = make(PORTION, seed=seed)
            partitions = [row % PARTITIONS for row in range(len(events))]
            places = publish(self._bootstrap, self._topic, events.values, partitions=partitions)
            self._portions.append((places, events.scores.tolist()))

    @property
    def sent(self) -> int:
        return sum(len(places) for places, _ in self._portions)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(60)

    def account(self) -> Account:
        account = Account()
        for places, scores in self._portions:
            account.enter(places, scores)
        return account


def test_workers_that_join_and_leave_count_every_event_once(
    tiny: TinyDetector, kafka, topic: Callable[..., str], redis_url, tmp_path: Path, caplog
):
    topics = {name: topic(name) for name in ("alerts", "rejected")}
    topics["events"] = topic("events", partitions=PARTITIONS)
    config = monitor_config(
        kafka.bootstrap,
        redis_url,
        tiny.path,
        topics,
        window={"size": WINDOW},
        test={"p_val": 0.001},
        worker={"batch_size": 64, "batch_wait_ms": 5, "lease_seconds": 2.0},
        kafka={"session.timeout.ms": 6000, "heartbeat.interval.ms": 500},
    )
    with MonitorState(redis_url) as state:

        def keeps_up(worker: WorkerThread, behind: int = 1000) -> None:
            goal = traffic.sent
            worker.wait_for("to catch up", lambda: sum(state.counted().values()) >= goal - behind)

        def owned(worker: WorkerThread) -> int:
            return len(worker.worker._instruments.positions)

        early = WorkerThread(tmp_path / "early", config)
        late = WorkerThread(tmp_path / "late", config)
        with late, Traffic(tiny, kafka.bootstrap, topics["events"]) as traffic:
            late.wait_for("all partitions", lambda: owned(late) == PARTITIONS)
            keeps_up(late)
            with early:
                early.wait_for("half the partitions", lambda: owned(early) == owned(late) == PARTITIONS // 2)
                keeps_up(early)
                keeps_up(early)
            late.wait_for("all partitions again", lambda: owned(late) == PARTITIONS)
            keeps_up(late)
        account = traffic.account()
        total = len(account.scores)
        with WorkerThread(tmp_path / "last", config) as last:
            last.wait_for("all events", lambda: sum(state.counted().values()) == total)
            verdicts = wait_for_verdicts(last, redis_url, "m", total // WINDOW)
        assert [verdict.sequence for verdict in verdicts] == list(range(1, total // WINDOW + 1))
        account.check(verdicts, state.left_open())
    alerts = [json.loads(alert.value()) for alert in consume(kafka.bootstrap, topics["alerts"], 2, extra=0.5)]
    ids = [alert["id"] for alert in alerts]
    assert len(ids) == len(set(ids))
    kinds = [alert["type"] for alert in sorted(alerts, key=lambda a: a["data"]["window"]["sequence"])]
    assert len(kinds) >= 2
    assert all("detected" in kind for kind in kinds[::2])
    assert all("resolved" in kind for kind in kinds[1::2])
    assert not [record for record in caplog.records if record.levelname == "ERROR" or record.exc_info]


@pytest.mark.real_broker
def test_a_consumer_that_leaves_while_it_joins_is_no_longer_waited_for(kafka, topic: Callable[..., str]):
    events = topic("events", partitions=PARTITIONS)
    properties = {
        "bootstrap.servers": kafka.bootstrap,
        "group.id": events,
        "session.timeout.ms": 120_000,
        "heartbeat.interval.ms": 500,
    }
    owned: set[Partition] = set()

    def begin(assigned: Sequence[Partition]) -> dict[Partition, int]:
        owned.update(assigned)
        return dict.fromkeys(assigned, 0)

    def ignore(partitions: Sequence[Partition]) -> None:
        pass

    def owns_all() -> bool:
        first.poll(1, 0.1)
        return len(owned) == PARTITIONS

    first = BatchConsumer(
        properties, [events], on_assigned=begin, on_revoked=owned.difference_update, on_lost=ignore
    )
    wait_until("all partitions", owns_all, LONG_SECONDS)
    second = BatchConsumer(
        properties,
        [events],
        on_assigned=lambda assigned: dict.fromkeys(assigned, 0),
        on_revoked=ignore,
        on_lost=ignore,
    )
    wait_until("a name in the group", lambda: second.joined, LONG_SECONDS)
    assert second.group_answers()
    second.close()

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def members() -> int:
        return len(admin.describe_consumer_groups([events])[events].result(LONG_SECONDS).members)

    wait_until("the first one to be alone", lambda: owns_all() and members() == 1, LONG_SECONDS)
    first.close()
