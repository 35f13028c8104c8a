"""Thresholds that one worker worked out are found by the next in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from detectors.promises.promises import Threshold
from monitor.config import MonitorConfig
from monitor.verdicts.known_thresholds import KnownThresholds
from monitor.verdicts.promises import threshold_rule
from streams.state.redis_connection import RedisConnection


@pytest.fixture
def connection(redis_url: str) -> Iterator[RedisConnection]:
    opened = RedisConnection(redis_url)
    yield opened
    opened.close()


def monitor(**test: object) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {
            "name": "m",
            "input": {"topic": "events"},
            "detector": "bundle",
            "window": {"size": 20},
            "test": test,
            "alerts": {"topic": "alerts"},
            "dead_letters": {"topic": "rejected"},
        }
    )


def not_again() -> Threshold:
    raise AssertionError("worked out a second time")


def test_a_threshold_is_worked_out_once_for_all_workers(connection: RedisConnection) -> None:
    worked_out = Threshold(0.012345678901234567, 0.01, 0.013, 0.25)
    assert KnownThresholds(connection, "drift").recall("a promise", lambda: worked_out) == worked_out
    assert KnownThresholds(connection, "drift").recall("a promise", not_again) == worked_out


def test_installations_that_share_a_redis_keep_their_own(connection: RedisConnection) -> None:
    KnownThresholds(connection, "drift").recall("a promise", lambda: Threshold(0.1, 0.1))
    mine = Threshold(0.2, 0.2)
    assert KnownThresholds(connection, "other").recall("a promise", lambda: mine) == mine


def test_whatever_the_threshold_depends_on_makes_it_another(connection: RedisConnection) -> None:
    recall = KnownThresholds(connection, "drift").recall
    promises = [
        (monitor(expected_run_time=100), 200),
        (monitor(expected_run_time=100), 400),
        (monitor(expected_run_time=1000), 200),
        (monitor(expected_run_time=100, confidence=0.9), 200),
        (monitor(expected_run_time=100, alternative="two-sided"), 200),
    ]
    kept = [threshold_rule(config, size, recall)(20) for config, size in promises]
    assert kept == [threshold_rule(config, size)(20) for config, size in promises]
    assert len(set(kept)) == len(promises)
