"""Redis loses everything, again and again, while workers count and are killed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.kills import undisturbed
from tests.faults.points import Ending
from tests.faults.processes import Treatment
from tests.faults.story import Outcome, Place, Run, Story, Tails
from tests.traffic import TinyDetector

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

EVENTS = 3000
LOSSES = 4


def lose_redis_again_and_again(run: Run, rng: random.Random) -> Outcome:
    """Flush Redis at random moments; half of the times the worker is killed amid the recovery too."""
    worker = run.worker()
    for loss in range(LOSSES):
        goal = run.counted() + rng.randint(1, EVENTS // (2 * LOSSES))
        run.wait_for(worker, "to count", lambda: run.counted() >= goal or run.drained())  # noqa: B023
        if loss % 2:
            worker.kill()
            worker = run.worker(Treatment(Ending("sought")))
            run.wait_for(worker, "to begin", lambda: "Reading" in worker.log)  # noqa: B023
        run.flush()
        if loss % 2:
            worker.join()
            assert worker.killed
            worker = run.worker()
    run.drain(worker)
    return run.outcome()


def test_with_a_state_topic_all_is_as_if_nothing_had_happened(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path
):
    story = Story()
    story.tell(place, tiny_detector, EVENTS, seed=1)
    expected, _ = undisturbed(place, story, tmp_path, tail)
    with Run(place, story, tmp_path, tail) as run:
        outcome = lose_redis_again_and_again(run, random.Random(1))

        assert not outcome.faults(story, expected), run.logs()


def test_without_a_state_topic_nothing_is_lost_and_what_repeats_has_the_same_id(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path
):
    story = Story()
    story.tell(place, tiny_detector, EVENTS, seed=3)
    with Run(place, story, tmp_path, tail, state_topic=False) as run:
        outcome = lose_redis_again_and_again(run, random.Random(3))

        assert outcome.lost == 0, run.logs()
        assert set(outcome.dead_letters) == story.rejected
    ids, subjects = zip(*outcome.alerts, strict=True)
    assert len(set(ids)) == len(set(subjects)) == len(set(outcome.alerts))
