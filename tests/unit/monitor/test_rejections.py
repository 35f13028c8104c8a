"""A worker that can read hardly any events stops."""

from __future__ import annotations

import pytest

from monitor.errors import MonitorError
from monitor.rejections import RejectionLimit


def test_limit_is_reached_over_the_latest_events():
    limit = RejectionLimit(0.5, over_events=100)
    limit.note("events", accepted=0, rejected=99)
    limit.note("events", accepted=100, rejected=1)
    limit.note("events", accepted=0, rejected=98)

    with pytest.raises(MonitorError, match=r"100 of the latest 200 .* 'events'.*max_rejected_fraction"):
        limit.note("events", accepted=0, rejected=1)


def test_few_events_are_not_judged():
    limit = RejectionLimit(0.1, over_events=100)

    for _ in range(99):
        limit.note("events", accepted=0, rejected=1)
    with pytest.raises(MonitorError):
        limit.note("events", accepted=0, rejected=1)


def test_old_events_are_forgotten():
    limit = RejectionLimit(0.5, over_events=10)
    limit.note("events", accepted=6, rejected=4)
    for _ in range(10):
        limit.note("events", accepted=6, rejected=4)


def test_no_limit_unless_asked_for():
    RejectionLimit(None, over_events=1).note("events", accepted=0, rejected=1000)
