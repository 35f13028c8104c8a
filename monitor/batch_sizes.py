"""How many records to take at once."""

from __future__ import annotations

from collections.abc import Sequence

from streams.records import RecordBatch

MOST_BYTES = 8 * 2**20
"""Bytes of values to have in hand at once; more makes large events slower to copy, and takes memory."""
FIRST_BATCH = 500
"""Records to take while nothing is known of their size."""
LOOKED_AT = 32
"""Records of a batch that tell the size of all."""


class BatchSize:
    """The size of batches, from the size of the latest events.

    Parameters
    ----------
    most
        Most records to take.

    Attributes
    ----------
    records
        How many records to take next.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.records = min(most, FIRST_BATCH)

    def learn(self, batches: Sequence[RecordBatch]) -> None:
        """Take note of the records that were read last; nothing if there were none."""
        sizes = [
            len(value)
            for batch in batches
            for message in batch.messages[:: -(-len(batch) // LOOKED_AT) or 1]
            if (value := message.value()) is not None
        ]
        if sizes:
            fitting = MOST_BYTES * len(sizes) // max(1, sum(sizes))
            self.records = max(1, min(self._most, fitting))
