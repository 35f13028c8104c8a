"""What happens to the input topic: partitions are added, retention deletes, offsets are set back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.faults.kills import undisturbed
from tests.faults.story import PARTITIONS, Place, Run, Story, Tails
from tests.traffic import TinyDetector

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

EVENTS = 600
FETCH_SECONDS = 0.7
"""Longer than a fetch request waits at the broker (``fetch.wait.max.ms``)."""


@pytest.fixture
def admin(place: Place) -> AdminClient:
    return AdminClient({"bootstrap.servers": place.bootstrap})


def delete_before(admin: AdminClient, topic: str, ends: dict[int, int]) -> None:
    """Delete the records of partitions before the offsets given, as retention would."""
    wanted = [TopicPartition(topic, number, offset) for number, offset in ends.items()]
    for deleted in admin.delete_records(wanted).values():
        deleted.result(30)


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_partitions_added_while_a_worker_runs_are_counted_from_their_start(
    reset: str, tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path, admin: AdminClient
):
    story = Story()
    kafka = {"auto.offset.reset": reset, "topic.metadata.refresh.interval.ms": 300}
    with Run(place, story, tmp_path, tail, kafka=kafka) as run:
        worker = run.worker(static=False)
        run.wait_for(worker, "to begin", lambda: "Reading" in worker.log)
        story.tell(place, tiny_detector, EVENTS, seed=4)
        topic = place.topics["events"]
        admin.create_partitions([NewPartitions(topic, PARTITIONS + 2)])[topic].result(30)
        story.tell(place, tiny_detector, EVENTS, seed=5, partitions=PARTITIONS + 2)
        run.drain(worker)
        outcome = run.outcome()

        assert (outcome.lost, outcome.doubled) == (0, 0), run.logs()
        assert set(outcome.dead_letters) == story.rejected


def test_committed_offsets_that_are_set_back_deliver_every_event_again_and_count_none_twice(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path, admin: AdminClient
):
    story = Story()
    story.tell(place, tiny_detector, EVENTS, seed=6)
    expected, _ = undisturbed(place, story, tmp_path, tail)
    with Run(place, story, tmp_path, tail) as run:
        first = run.worker(static=False)
        run.drain(first)
        first.stop()
        start = [TopicPartition(place.topics["events"], number, 0) for number in range(PARTITIONS)]
        request = ConsumerGroupTopicPartitions(run.group, start)
        admin.alter_consumer_group_offsets([request])[run.group].result(30)
        story.tell(place, tiny_detector, EVENTS, seed=7)
        second = run.worker(static=False)
        run.drain(second)
        outcome = run.outcome()

        assert outcome.repeated_dead_letters > 0, "nothing was delivered twice"
        assert (outcome.lost, outcome.doubled) == (0, 0), run.logs()
        for name, verdicts in expected.verdicts.items():
            if name[0] == "tumbling":
                assert [v.offsets for v in outcome.verdicts[name]][: len(verdicts)] == [
                    v.offsets for v in verdicts
                ]


def test_events_deleted_before_they_were_counted_are_told_and_reading_goes_on(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path, admin: AdminClient
):
    """Once while the worker runs and is behind, once while none runs."""
    story = Story()
    story.tell(place, tiny_detector, EVENTS, seed=8)
    with Run(place, story, tmp_path, tail, monitors=["whole"]) as run:
        worker = run.worker(static=False)
        run.drain(worker)
        worker.freeze()
        time.sleep(FETCH_SECONDS)
        first_gap = leave_gap(story, place, tiny_detector, admin, seed=9)
        worker.thaw()
        run.drain(worker)
        assert told(worker.log) == first_gap
        worker.stop()
        second_gap = leave_gap(story, place, tiny_detector, admin, seed=10)
        stopping = run.worker(static=False, settings={"on_missing_offsets": "stop"})
        assert stopping.join() == 1
        assert "worker.on_missing_offsets is 'stop'. Set it to 'continue'" in stopping.log
        going_on = run.worker(static=False)
        run.drain(going_on)
        assert told(going_on.log) == second_gap
        outcome = run.outcome()

    accepted_in_gaps = len(story.forgotten)
    assert accepted_in_gaps > 100
    assert (outcome.lost, outcome.doubled) == (accepted_in_gaps, 0)


def leave_gap(
    story: Story, place: Place, tiny_detector: TinyDetector, admin: AdminClient, seed: int
) -> set[int]:
    """Publish events and delete the first of them; returns how many are missing, by partition."""
    before = dict(story.ends)
    story.tell(place, tiny_detector, EVENTS, seed)
    ends = {number: (before[number] + story.ends[number]) // 2 for number in before}
    delete_before(admin, place.topics["events"], ends)
    story.forgotten |= {
        (number, offset) for number, offset in story.whole.scores if before[number] <= offset < ends[number]
    }
    return {ends[number] - before[number] for number in before}


def told(log: str) -> set[int]:
    """Read how many offsets a worker says are missing."""
    lines = [line for line in log.splitlines() if "are no longer in the topic" in line]
    assert all(" ERROR " in line for line in lines)
    return {int(line.split(" offsets of ")[0].rsplit(" ", 1)[1]) for line in lines}
