"""Reading a range of a topic: where it begins and ends, and the order in which partitions are merged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from streams.errors import StreamError
from streams.kafka.topic_range import Place, TopicRange

PARTITIONS = 4
BEGIN_MS = 1_763_640_000_000
N = 4000


@pytest.fixture
def timed(kafka, topic: Callable[..., str]) -> str:
    """A topic of records a second apart, spread unevenly over partitions; each holds its number."""
    name = topic("timed", partitions=PARTITIONS)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20})
    for number in range(N):
        # Two of three are in partition 0, and partition 3 has none.
        partition = number % 3 if number % 3 < 2 else 0
        producer.produce(name, str(number).encode(), partition=partition, timestamp=BEGIN_MS + 1000 * number)
        producer.poll(0)
    assert producer.flush(30) == 0
    return name


def numbers(found: TopicRange) -> list[int]:
    return [int(message.value() or b"") for message in found]


def test_the_whole_topic_in_the_order_of_time_and_again(kafka, timed: str) -> None:
    found = TopicRange({"bootstrap.servers": kafka.bootstrap}, timed, None, None)
    assert found.total == N
    assert numbers(found) == list(range(N))
    assert numbers(found) == list(range(N))


def test_from_a_time_to_a_time(kafka, timed: str) -> None:
    begin, end = Place(time_ms=BEGIN_MS + 999_500), Place(time_ms=BEGIN_MS + 1_250_000)
    found = TopicRange({"bootstrap.servers": kafka.bootstrap}, timed, begin, end)
    assert numbers(found) == list(range(1000, 1250))


def test_offsets_are_those_of_every_partition(kafka, timed: str) -> None:
    found = TopicRange({"bootstrap.servers": kafka.bootstrap}, timed, Place(offset=1300), Place(offset=1320))
    places = {(message.partition(), message.offset()) for message in found}
    assert places == {(p, offset) for p in (0, 1) for offset in range(1300, 1320)}


def test_nothing_between_two_places(kafka, timed: str) -> None:
    found = TopicRange({"bootstrap.servers": kafka.bootstrap}, timed, Place(time_ms=BEGIN_MS * 2), None)
    assert (found.total, numbers(found)) == (0, [])


def test_topic_that_is_not_there(kafka) -> None:
    if not kafka.real:
        pytest.skip("the mock cluster has every topic that is asked for")
    with pytest.raises(StreamError, match="'no-such-topic' cannot be read"):
        TopicRange({"bootstrap.servers": kafka.bootstrap}, "no-such-topic", None, None)
