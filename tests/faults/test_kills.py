"""A worker is killed at every named point: the next one goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import EVENTS, Figures, killed_run, undisturbed
from tests.faults.points import POINTS
from tests.faults.story import Place, Run, Story, Tails
from tests.traffic import TinyDetector

pytestmark = [pytest.mark.real_broker, pytest.mark.slow]

KILLS_PER_RUN = 7


def test_worker_killed_at_every_point_loses_and_doubles_nothing(
    tiny_detector: TinyDetector, place: Place, tail: Tails, tmp_path: Path
):
    """Several kills a run; ``python -m tests.faults.kills`` makes hundreds of runs."""
    story, figures = Story(), Figures()
    story.tell(place, tiny_detector, EVENTS, seed=1)
    expected, _ = undisturbed(place, story, tmp_path, tail)
    points = [(point, 1) for point in POINTS]
    n_runs = -(-len(points) // KILLS_PER_RUN)
    for first in range(n_runs):
        with Run(place, story, tmp_path, tail) as run:
            outcome = killed_run(run, points[first::n_runs], figures)
            figures.add(run, expected, outcome)

    assert not figures.never_reached
    assert not figures.faults, "\n\n".join(figures.faults)
    assert figures.lost == figures.doubled == 0
    assert figures.kills.total() == len(POINTS)
    assert len(expected.alerts) > 50
    assert len(story.rejected) > 50
