"""A batch of Kafka records as columns: what codecs read and dead letters are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Headers: TypeAlias = list[tuple[str, bytes | None]]


class Message(Protocol):
    """One record as confluent-kafka hands it over; anything with these methods will do."""

    def topic(self) -> str | None:
        """Name of the topic."""
        ...

    def partition(self) -> int | None:
        """Number of the partition."""
        ...

    def offset(self) -> int | None:
        """Offset in the partition."""
        ...

    def key(self) -> bytes | None:
        """Key as sent."""
        ...

    def value(self) -> bytes | None:
        """Value as sent; None for a tombstone."""
        ...

    def headers(self) -> Headers | None:
        """Headers in the order sent; None when there are none."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Type and value of the timestamp, in milliseconds since 1970."""
        ...


@dataclass(frozen=True)
class RecordBatch:
    """Records of one topic, in the order consumed; offsets grow within each partition.

    Attributes
    ----------
    topic
        Topic that all records come from.
    messages
        The records themselves, length n; columns are read from them when first asked for.
    """

    topic: str
    messages: Sequence[Message]

    def __len__(self) -> int:
        return len(self.messages)

    def take(self, rows: npt.NDArray[np.int64]) -> RecordBatch:
        """Return the records at these rows, in their order."""
        return RecordBatch(self.topic, [self.messages[row] for row in rows.tolist()])

    def with_values(self, values: list[bytes | None], headers: list[Headers] | None = None) -> RecordBatch:
        """Return the same records with other values, length n: what is left without an envelope, say.

        ``headers`` take the place of theirs where they were the envelope's too.
        """
        batch = RecordBatch(self.topic, self.messages)
        vars(batch)["values"] = values
        if headers is not None:
            vars(batch)["headers"] = headers
        return batch

    @cached_property
    def values(self) -> list[bytes | None]:
        """Values, length n."""
        return [message.value() for message in self.messages]

    @cached_property
    def keys(self) -> list[bytes | None]:
        """Keys, length n."""
        return [message.key() for message in self.messages]

    @cached_property
    def headers(self) -> list[Headers]:
        """Headers, length n; an empty list for a record without any."""
        return [message.headers() or [] for message in self.messages]

    @cached_property
    def partitions(self) -> npt.NDArray[np.int32]:
        """Partition numbers, shape (n,)."""
        return np.array([message.partition() for message in self.messages], dtype=np.int32)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Offsets, shape (n,)."""
        return np.array([message.offset() for message in self.messages], dtype=np.int64)

    def last_timestamp_ms(self, partition: int) -> int:
        """Kafka timestamp of the last record of a partition that is in the batch; -1 where there is none."""
        row = len(self) - 1 - int(np.argmax(self.partitions[::-1] == partition))
        return self.messages[row].timestamp()[1]

    @cached_property
    def timestamps_ms(self) -> npt.NDArray[np.int64]:
        """Kafka timestamps in milliseconds since 1970, shape (n,); -1 where the broker has none."""
        return np.array([message.timestamp()[1] for message in self.messages], dtype=np.int64)
