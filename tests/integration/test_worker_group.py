"""Several workers in one consumer group: one counting, whoever does it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.kafka.consumer import BatchConsumer
from streams.kafka.group_offsets import Partition
from tests.load import Load
from tests.traffic import Account, MonitorState, TinyDetector, consume
from tests.workers import WorkerThread, monitor_config, wait_for_verdicts, wait_until

LONG_SECONDS = 60.0
WINDOW = 100
PARTITIONS = 4
PORTION = 400


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


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
    account = Account()
    with MonitorState(redis_url) as state:

        def keeps_up(worker: WorkerThread, behind: int = 1000) -> None:
            goal = len(account.scores)
            worker.wait_for("to catch up", lambda: sum(state.counted().values()) >= goal - behind)

        def owned(worker: WorkerThread) -> int:
            return len(worker.worker._instruments.positions)

        early = WorkerThread(tmp_path / "early", config)
        late = WorkerThread(tmp_path / "late", config)
        flowing = Load(
            tiny, kafka.bootstrap, topics["events"], account, partitions=PARTITIONS, portion=PORTION
        )
        with late, flowing:
            late.wait_for("all partitions", lambda: owned(late) == PARTITIONS)
            keeps_up(late)
            with early:
                early.wait_for("half the partitions", lambda: owned(early) == owned(late) == PARTITIONS // 2)
                keeps_up(early)
                keeps_up(early)
            late.wait_for("all partitions again", lambda: owned(late) == PARTITIONS)
            keeps_up(late)
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
