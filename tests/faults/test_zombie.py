"""A worker that is frozen until others have its partitions, and wakes up with a batch in hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import undisturbed
from tests.faults.points import Ending
from tests.faults.processes import FREEZE, Treatment
from tests.faults.story import Outcome, Place, Run, Story, Tails
from tests.traffic import TinyDetector

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

EVENTS = 1500


@pytest.fixture
def story(place: Place, tiny_detector: TinyDetector) -> Story:
    story = Story()
    story.tell(place, tiny_detector, EVENTS, seed=2)
    return story


def wake_a_zombie(run: Run, *, without_fence: bool = False) -> Outcome:
    """Freeze a worker before it counts a batch; wake it when another has counted all."""
    frozen = Treatment(Ending("before append", 3, by=FREEZE), without_fence=without_fence)
    zombie = run.worker(frozen, static=False)
    run.wait_for(zombie, "to freeze", lambda: zombie.frozen)
    heir = run.worker(static=False)
    run.drain(heir)
    zombie.thaw()
    run.wait_for(zombie, "to learn what it lost", lambda: "Lost events" in zombie.log)
    if not without_fence:
        run.drain(heir)
    return run.outcome()


def test_zombie_does_no_harm(story: Story, place: Place, tail: Tails, tmp_path: Path):
    expected, _ = undisturbed(place, story, tmp_path, tail)
    with Run(place, story, tmp_path, tail) as run:
        outcome = wake_a_zombie(run)

        assert not outcome.faults(story, expected), run.logs()


def test_zombie_would_do_harm_without_the_fence(story: Story, place: Place, tail: Tails, tmp_path: Path):
    """What shows that the test above can fail: Redis believes the zombie, and its batch is counted again."""
    with Run(place, story, tmp_path, tail) as run:
        outcome = wake_a_zombie(run, without_fence=True)

        assert outcome.lost + outcome.doubled >= 20
