"""Scores counted a batch at a time are in the buckets that counting them one by one puts them in."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry, Histogram

from monitor.metrics.score_histogram import BOUNDS, ScoreHistogram


def test_batches_are_counted_as_single_observations_are() -> None:
    batches = [np.float32([1e-7, 1e-5, 0.02, 0.1, 0.1, 3.0]), np.float32([]), np.float32([10.0, 10.5, 4e-4])]
    registry = CollectorRegistry()
    single = Histogram("single", "One by one.", ["monitor"], registry=registry, buckets=BOUNDS)
    whole = ScoreHistogram("whole", "A batch at a time.")
    registry.register(whole)
    for batch in batches:
        whole.observe("m", batch)
        for score in batch:
            # A bound as float64 lies a little beside the same bound as float32.
            single.labels("m").observe(float(score))
    for bound in [*map(str, BOUNDS), "+Inf"]:
        labels = {"monitor": "m", "le": bound}
        assert registry.get_sample_value("whole_bucket", labels) == registry.get_sample_value(
            "single_bucket", labels
        ), bound
    assert registry.get_sample_value("whole_count", {"monitor": "m"}) == 9
    assert registry.get_sample_value("whole_sum", {"monitor": "m"}) == registry.get_sample_value(
        "single_sum", {"monitor": "m"}
    )


def test_monitors_are_kept_apart() -> None:
    registry = CollectorRegistry()
    scores = ScoreHistogram("score", "Scores.")
    registry.register(scores)
    scores.observe("a", np.float32([0.5]))
    scores.observe("b", np.float32([0.5, 0.5]))
    assert registry.get_sample_value("score_count", {"monitor": "a"}) == 1
    assert registry.get_sample_value("score_count", {"monitor": "b"}) == 2
