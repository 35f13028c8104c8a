"""Series come with a monitor and go with it."""

from __future__ import annotations

import numpy as np
from prometheus_client import generate_latest

from monitor.metrics.instruments import Instruments


def test_the_series_of_a_monitor_that_is_no_longer_watched_are_gone() -> None:
    instruments = Instruments()
    for monitor, topic in {"a": "shared", "b": "shared", "c": "alone"}.items():
        instruments.expect(monitor, topic)
        instruments.scored(monitor, np.ones(3, np.float32), threshold=0.5)
        instruments.read(topic, 3, [])
    everything = generate_latest(instruments.registry).decode()
    instruments.forget_others({"a": "shared", "b": "shared", "c": "alone"})
    assert generate_latest(instruments.registry).decode().count("\n") == everything.count("\n")

    instruments.forget_others({"a": "shared"})

    exported = generate_latest(instruments.registry).decode()
    assert 'monitor="b"' in everything
    assert 'topic="alone"' in everything
    assert not any(gone in exported for gone in ('monitor="b"', 'monitor="c"', 'topic="alone"'))
    value = instruments.registry.get_sample_value
    assert value("drift_monitor_flagged_instances_total", {"monitor": "a"}) == 3
    assert value("drift_monitor_events_total", {"topic": "shared"}) == 6

    instruments.expect("b", "shared")
    assert value("drift_monitor_flagged_instances_total", {"monitor": "b"}) == 0
