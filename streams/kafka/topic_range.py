"""Reading a range of a topic once, in the order of time, without being a member of any group."""

from __future__ import annotations

import heapq
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import KafkaError as ClientError

from streams.errors import KafkaError, KafkaUnavailableError
from streams.kafka.client_log import client_log
from streams.records import Message

TIMEOUT_SECONDS = 10.0
"""How long the broker may take to answer, or send nothing."""
AT_ONCE = 5000
"""Records fetched in one call."""
MOST_AHEAD = 50_000
"""Records of one partition that are held while another is waited for; it is paused then."""


@dataclass(frozen=True)
class Place:
    """A place in a topic: exactly one of the two.

    Attributes
    ----------
    offset
        An offset of every partition.
    time_ms
        The first record of each partition that is not older, milliseconds since 1970.
    """

    offset: int | None = None
    time_ms: int | None = None


class TopicRange:
    """The records of a topic between two places, as they are when this is made.

    Parameters
    ----------
    properties
        librdkafka properties of consumers.
    topic
        The topic.
    begin
        The first records; None for the first that the topic holds.
    end
        The records before which to end; None for what is the end now.

    Attributes
    ----------
    total
        Offsets in the range; compaction and transactions may have left fewer records.

    Raises
    ------
    KafkaError
        If there is no such topic.
    KafkaUnavailableError
        If the broker does not answer.
    """

    def __init__(
        self, properties: Mapping[str, Any], topic: str, begin: Place | None, end: Place | None
    ) -> None:
        self._properties = {
            **properties,
            # It is assigned its partitions and commits nothing, so the broker never hears of this group.
            "group.id": f"drift-monitor-backtest-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "logger": client_log,
        }
        self._topic = topic
        consumer = Consumer(self._properties)
        try:
            self._bounds = self._locate(consumer, begin, end)
        except KafkaException as error:
            raise self._unreadable(error.args[0].str()) from error
        finally:
            consumer.close()
        self.total = sum(stop - start for start, stop in self._bounds.values())

    def __iter__(self) -> Iterator[Message]:
        """Read the range: each partition in its order, and of these the record with the earliest timestamp.

        Raises
        ------
        KafkaUnavailableError
            If the broker sends nothing for too long.
        """
        consumer = Consumer(self._properties)
        try:
            yield from self._merged(consumer)
        except KafkaException as error:
            raise self._unreadable(error.args[0].str()) from error
        finally:
            consumer.close()

    def _locate(
        self, consumer: Consumer, begin: Place | None, end: Place | None
    ) -> dict[int, tuple[int, int]]:
        metadata = consumer.list_topics(self._topic, timeout=TIMEOUT_SECONDS).topics[self._topic]
        if metadata.error is not None:
            raise KafkaError(f"The topic {self._topic!r} cannot be read: {metadata.error.str()}.")
        bounds = {}
        for number in sorted(metadata.partitions):
            low, high = consumer.get_watermark_offsets(
                TopicPartition(self._topic, number), timeout=TIMEOUT_SECONDS
            )
            start = min(max(self._offset(consumer, number, begin, low, high), low), high)
            stop = min(max(self._offset(consumer, number, end, high, high), start), high)
            if start < stop:
                bounds[number] = start, stop
        return bounds

    def _offset(self, consumer: Consumer, number: int, place: Place | None, default: int, high: int) -> int:
        if place is None:
            return default
        if place.offset is not None:
            return place.offset
        (found,) = consumer.offsets_for_times(
            [TopicPartition(self._topic, number, place.time_ms or 0)], timeout=TIMEOUT_SECONDS
        )
        return high if found.offset < 0 else int(found.offset)

    def _merged(self, consumer: Consumer) -> Iterator[Message]:
        held: dict[int, deque[Message]] = {number: deque() for number in self._bounds}
        unread = set(held)
        # By partition the latest timestamp so far, since those of a partition need not grow.
        latest = dict.fromkeys(held, 0)
        turn: list[tuple[int, int]] = []
        waiting = set(held)
        consumer.assign([TopicPartition(self._topic, n, start) for n, (start, _) in self._bounds.items()])
        paused: set[int] = set()
        while unread or turn:
            if waiting & unread:
                self._fetch(consumer, held, unread, paused)
            for number in [number for number in waiting if held[number] or number not in unread]:
                waiting.discard(number)
                self._queue(number, held, latest, turn)
            while turn and not waiting & unread:
                _, number = heapq.heappop(turn)
                yield held[number].popleft()
                if held[number]:
                    self._queue(number, held, latest, turn)
                else:
                    waiting.add(number)

    @staticmethod
    def _queue(
        number: int, held: Mapping[int, deque[Message]], latest: dict[int, int], turn: list[tuple[int, int]]
    ) -> None:
        if held[number]:
            latest[number] = max(latest[number], held[number][0].timestamp()[1])
            heapq.heappush(turn, (latest[number], number))

    def _fetch(
        self, consumer: Consumer, held: Mapping[int, deque[Message]], unread: set[int], paused: set[int]
    ) -> None:
        """Hold more records, at least one or the end of a partition."""
        for number in [number for number in paused if len(held[number]) < MOST_AHEAD // 2]:
            paused.discard(number)
            consumer.resume([TopicPartition(self._topic, number)])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (messages := consumer.consume(AT_ONCE, 0.2)):
            if time.monotonic() > deadline:
                raise self._unreadable(f"nothing arrived for {TIMEOUT_SECONDS:g} seconds")
        before = set(unread)
        for message in messages:
            number, error = message.partition(), message.error()
            if error is None:
                stop = self._bounds[number][1]
                if message.offset() < stop:
                    held[number].append(message)
                if message.offset() >= stop - 1:
                    unread.discard(number)
            elif error.code() == ClientError._PARTITION_EOF:
                unread.discard(number)
            # librdkafka looks for the coordinator of a group that is never joined, and needs no right to.
            elif error.code() != ClientError.GROUP_AUTHORIZATION_FAILED:
                raise self._unreadable(error.str())
        ahead = {number for number in unread if len(held[number]) > MOST_AHEAD} - paused
        paused |= ahead
        if stopping := ahead | (before - unread):
            consumer.pause([TopicPartition(self._topic, number) for number in stopping])

    def _unreadable(self, reason: str) -> KafkaUnavailableError:
        return KafkaUnavailableError(f"The topic {self._topic!r} cannot be read: {reason}.")
