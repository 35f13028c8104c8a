"""The clock of the loop's stages."""

from __future__ import annotations

import time

from monitor.stages import Stages


def test_a_stage_is_timed_without_the_rest_after_it() -> None:
    told: list[tuple[str, float]] = []
    stages = Stages(lambda stage, seconds: told.append((stage, seconds)))
    stages.rest_seconds = 0.2
    started = time.perf_counter()
    with stages.timed("model"):
        pass

    assert time.perf_counter() - started >= 0.2
    assert told == [("model", stages.seconds["model"])]
    assert stages.seconds["model"] < 0.2
