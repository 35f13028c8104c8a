"""A codec that can be told of a batch ahead."""

from __future__ import annotations

from collections.abc import Collection

from streams.codecs.ahead.messages import CodecOpening, Request, with_records
from streams.codecs.ahead.process import DecodingProcess
from streams.codecs.protocol import Codec
from streams.events import EventBatch
from streams.records import RecordBatch

LEAST_BYTES = 2**18
"""Bytes of values that a batch must have to be worth sending; 256 KiB of JSON take a millisecond or two."""


class AheadCodec:
    """Decodes as the codec does that it is made of, in another process what it was told of before.

    Parameters
    ----------
    codec
        Decodes all else.
    opening
        How the other process opens the same.
    looks_at
        Columns of records that the codec looks at.
    process
        The other process, which several codecs may share.
    """

    def __init__(
        self, codec: Codec, opening: CodecOpening, looks_at: Collection[str], process: DecodingProcess
    ) -> None:
        self._codec = codec
        self._opening = opening
        self._with_headers = "headers" in looks_at
        self._process = process

    def begin(self, records: RecordBatch) -> bool:
        """Start to decode a batch, for ``decode`` to take up later, unless it is small; tell whether it was.

        At most two batches may be begun and not yet decoded; of more, the earliest are forgotten.
        """
        request = Request.of(self._opening, records, with_headers=self._with_headers)
        return len(request.joined) >= LEAST_BYTES and self._process.begin((self, records), request)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        events = self._process.answer((self, records))
        return self._codec.decode(records) if events is None else with_records(events, records)
