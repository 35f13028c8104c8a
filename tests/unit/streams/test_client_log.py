"""What librdkafka says again and again is written once a minute; what is new is written at once."""

from __future__ import annotations

import logging

import pytest

from streams.kafka.client_log import NEW_AFTER_SECONDS, REPEAT_SECONDS, Repeats

REFUSED = "Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)"


class Clock:
    """Feeds a filter with lines, as the Kafka client makes them, at times of its own."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._repeats = Repeats()

    def said(
        self, text: str, *, level: int = logging.ERROR, client: str = "rdkafka#consumer-1"
    ) -> str | None:
        """Say something; returns what is written of it."""
        record = logging.LogRecord(
            "kafka", level, "", 0, "%s [%s] %s", ("FAIL", client, f"[thrd:10.0.0.1:9092/1]: {text}"), None
        )
        record.created = self.now
        return record.getMessage() if self._repeats.filter(record) else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_outage_is_told_when_it_begins_and_once_a_minute(clock: Clock) -> None:
    written = []
    for tick in range(3 * 60 * 20):
        clock.now = 1000 + tick / 20
        written.append(clock.said(f"10.0.0.1:9092/1: {REFUSED}"))
    lines = [line for line in written if line is not None]

    assert written[0] == f"FAIL [rdkafka#consumer-1] [thrd:10.0.0.1:9092/1]: 10.0.0.1:9092/1: {REFUSED}"
    assert [line.removeprefix(lines[0]) for line in lines] == ["", *2 * [" (1,200 times within 60 s)"]]


@pytest.mark.parametrize(
    "text",
    [
        f"10.0.0.1:9092/bootstrap: {REFUSED}",
        f"GroupCoordinator: 10.0.0.1:9092: {REFUSED}",
        f"10.0.0.1:9092/1: {REFUSED.replace('0ms', '13ms')}",
        f"10.0.0.1:9092/1: {REFUSED.replace('CONNECT)', 'CONNECT, 9 identical error(s) suppressed)')}",
    ],
)
def test_same_of_another_client_thread_or_attempt_is_not_news(clock: Clock, text: str) -> None:
    assert clock.said(f"10.0.0.1:9092/1: {REFUSED}")
    assert clock.said(text, client="rdkafka#producer-2") is None


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (f"10.0.0.2:9092/1: {REFUSED}", logging.ERROR),
        (f"10.0.0.1:9093/1: {REFUSED}", logging.ERROR),
        (f"10.0.0.1:9092/1: {REFUSED}", logging.WARNING),
        ("10.0.0.1:9092/1: SASL authentication error: Invalid credentials (after 2ms)", logging.ERROR),
    ],
)
def test_other_broker_reason_or_level_is_news(clock: Clock, text: str, level: int) -> None:
    assert clock.said(f"10.0.0.1:9092/1: {REFUSED}")
    assert clock.said(text, level=level)


def test_same_after_a_silence_is_news(clock: Clock) -> None:
    assert clock.said(REFUSED)
    clock.now += NEW_AFTER_SECONDS - 1
    assert clock.said(REFUSED) is None
    clock.now += NEW_AFTER_SECONDS + 1
    assert clock.said(REFUSED)
    assert NEW_AFTER_SECONDS < REPEAT_SECONDS


def test_lines_of_others_pass() -> None:
    record = logging.LogRecord("kafka", logging.ERROR, "", 0, "Kafka is away.", (), None)
    assert [Repeats().filter(record) for _ in range(2)] == [True, True]
