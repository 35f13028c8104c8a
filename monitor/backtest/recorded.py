"""Events of the past as records: out of files, the way the worker would have got them from Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from monitor.samples.sample import Sample
from monitor.sending import EventFormat, encode_sample, read_lines
from streams.records import Headers, Message, RecordBatch

FIRST_MS = 946_684_800_000
"""2000-01-01T00:00:00Z: when the first event of a file is taken to have come, if it does not say."""


@dataclass(frozen=True)
class FileRecord:
    """One event of a file, with the methods of confluent-kafka's records.

    Attributes
    ----------
    source
        Topic that it stands for.
    number
        Its place in the file, from 0: the offset.
    content
        The event.
    time_ms
        When it came, milliseconds since 1970, unless the event says so itself.
    """

    source: str
    number: int
    content: bytes
    time_ms: int

    def topic(self) -> str:
        """Name of the topic."""
        return self.source

    @staticmethod
    def partition() -> int:
        """Number of the only partition."""
        return 0

    def offset(self) -> int:
        """Place in the file."""
        return self.number

    @staticmethod
    def key() -> None:
        """No key: a file has none."""

    def value(self) -> bytes:
        """The event."""
        return self.content

    @staticmethod
    def headers() -> Headers | None:
        """No headers: a file has none."""
        return None

    def timestamp(self) -> tuple[int, int]:
        """Type (set by the producer) and value of the timestamp, in milliseconds since 1970."""
        return 1, self.time_ms


@dataclass(frozen=True)
class RecordedEvents:
    """Events that can be read from the beginning time and again.

    Attributes
    ----------
    topic
        Topic that they came from, or stand for.
    source
        What to call them in a report.
    total
        How many there are; None if that is not known before they are read.
    read
        Reads them in order.
    """

    topic: str
    source: str
    total: int | None
    read: Callable[[], Iterable[Message]]

    def batches(self, size: int) -> Iterator[RecordBatch]:
        """Read them in batches."""
        messages = iter(self.read())
        while batch := list(islice(messages, size)):
            yield RecordBatch(self.topic, batch)


def events_of_lines(path: Path, topic: str, *, rate: float, limit: int | None = None) -> RecordedEvents:
    """Take each line of a ``.jsonl`` file that is not blank for an event.

    Parameters
    ----------
    path
        The file.
    topic
        Topic that it stands for.
    rate
        Events a second, for events without a time of their own.
    limit
        Read so many events at most.
    """
    total = sum(1 for _ in islice(read_lines(path), limit))
    return RecordedEvents(
        topic, path.name, total, lambda: _records(islice(read_lines(path), limit), topic, rate)
    )


def events_of_arrays(
    sample: Sample, form: EventFormat, path: Path, topic: str, *, rate: float
) -> RecordedEvents:
    """Take each row of arrays for an event, encoded as ``drift-monitor send`` encodes it.

    Parameters
    ----------
    sample
        Instances and predictions.
    form
        How events are written.
    path
        Where the arrays came from.
    topic
        Topic that they stand for.
    rate
        Events a second.
    """
    return RecordedEvents(
        topic,
        path.name,
        len(sample.instances),
        lambda: _records(encode_sample(sample, form, path.stem), topic, rate),
    )


def _records(values: Iterable[bytes], topic: str, rate: float) -> Iterator[FileRecord]:
    for number, value in enumerate(values):
        yield FileRecord(topic, number, value, FIRST_MS + int(number * 1000 / rate))
