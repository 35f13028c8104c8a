"""Workers come and go at random, and the wall clock of one jumps about."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.kills import undisturbed
from tests.faults.processes import Treatment
from tests.faults.story import Place, Run, Story, Tails
from tests.traffic import TinyDetector

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

HOUR = 3600.0
CHANGES = 12
PORTION = 300
MOST_WORKERS = 4


def test_up_to_four_workers_that_come_and_go_count_as_one(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path
):
    rng = random.Random(11)
    story = Story()
    with Run(place, story, tmp_path, tail) as run:
        workers = [run.worker(static=False)]
        for change in range(CHANGES):
            story.tell(place, tiny_detector, PORTION, seed=20 + change)
            if len(workers) == MOST_WORKERS or (len(workers) > 1 and rng.random() < 0.4):
                workers.pop(rng.randrange(len(workers))).stop()
            else:
                workers.append(run.worker(static=False))
            goal = run.counted() + PORTION // 3
            run.wait_for(workers[0], "to count", lambda: run.counted() >= goal or run.drained())  # noqa: B023
        run.drain(workers[0])
        outcome, logs = run.outcome(), run.logs()
    expected, _ = undisturbed(place, story, tmp_path, tail)

    assert not outcome.faults(story, expected), logs


def test_clock_that_jumps_by_hours_closes_windows_early_and_counts_every_event_once(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path
):
    story = Story()
    story.tell(place, tiny_detector, 2000, seed=12)
    window = {"max_age_seconds": 60, "min_size": 2}
    with Run(place, story, tmp_path, tail, monitors=["tumbling", "whole"], window=window) as run:
        worker = run.worker(Treatment(clock_jumps_seconds=(0, HOUR, 0, -HOUR)))
        run.drain(worker)
        run.wait_for(worker, "a window closed by age", lambda: any(size < 50 for size in sizes(run)))
        outcome = run.outcome()

        assert (outcome.lost, outcome.doubled) == (0, 0), run.logs()
        assert set(outcome.dead_letters) == story.rejected


def sizes(run: Run) -> list[int]:
    """Sizes of all windows with a verdict."""
    return [v.size for verdicts in run.outcome().verdicts.values() for v in verdicts]
