"""Whether a worker counts as alive and as ready."""

from __future__ import annotations

from monitor.metrics.instruments import Instruments
from monitor.metrics.pulse import STUCK_AFTER_SECONDS, Pulse
from streams.errors import KafkaUnavailableError
from streams.state.redis_connection import RedisUnavailableError


def test_a_loop_that_turns_is_alive_and_one_that_stands_still_is_not() -> None:
    pulse = Pulse(turned_at=100.0, joined=True)
    assert pulse.stuck(100.0 + STUCK_AFTER_SECONDS / 2) is None
    assert "has not turned for 75 s" in (pulse.stuck(175.0) or "")
    assert pulse.hindrances(175.0) == [pulse.stuck(175.0)]


def test_a_worker_is_ready_once_its_group_has_taken_it_in() -> None:
    pulse = Pulse(turned_at=100.0)
    assert "consumer group" in pulse.hindrances(100.0)[0]
    pulse.joined = True
    assert pulse.hindrances(100.0) == []


def test_an_outage_makes_it_unready_but_each_attempt_is_a_sign_of_life() -> None:
    instruments = Instruments()
    instruments.pulse.joined = True
    instruments.pulse.turned_at -= 2 * STUCK_AFTER_SECONDS
    instruments.held_up(RedisUnavailableError("Redis is away."))
    now = instruments.pulse.turned_at
    assert instruments.pulse.stuck(now) is None
    assert instruments.pulse.hindrances(now) == ["Redis is away."]
    assert instruments.registry.get_sample_value("drift_monitor_waiting") == 1
    instruments.held_up(None)
    assert instruments.pulse.hindrances(now) == []
    assert instruments.registry.get_sample_value("drift_monitor_waiting") == 0


def test_an_outage_is_counted_where_it_is() -> None:
    instruments = Instruments()
    instruments.held_up(RedisUnavailableError("Redis is away."))
    instruments.held_up(KafkaUnavailableError("Kafka is away."))
    instruments.held_up(KafkaUnavailableError("Kafka is away."))
    assert instruments.registry.get_sample_value("drift_monitor_redis_errors_total") == 1
    assert instruments.registry.get_sample_value("drift_monitor_kafka_errors_total") == 2
