"""Garbage is collected when no batch is in hand, and as Python does it afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest

from monitor import garbage
from monitor.garbage import GarbageBetweenBatches


class Knot:
    """An object in a cycle, which only the collector ends."""

    def __init__(self) -> None:
        self.itself = self


def test_cycles_wait_for_the_next_look_that_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(garbage.time, "monotonic", lambda: now)
    with GarbageBetweenBatches() as collector:
        assert not gc.isenabled()
        collector.look()
        knot = weakref.ref(Knot())
        now += garbage.COLLECT_SECONDS / 2
        collector.look()
        assert knot() is not None
        now += garbage.COLLECT_SECONDS
        collector.look()
        assert knot() is None
    assert gc.isenabled()


def test_a_collector_that_is_switched_off_stays_so() -> None:
    gc.disable()
    try:
        with GarbageBetweenBatches():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
