"""The headers of a batch of tensor events as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams import headers as names
from streams.codecs.rejection import BadEventError
from streams.codecs.tensor.format import TensorFormat, header_text, tensor_format
from streams.events import EventSchema, RejectedEvent
from streams.parts import header_columns
from streams.records import Headers

MOST_FORMATS = 256
"""How many different descriptions are remembered; a producer of random ones must not fill the memory."""

_FORMAT_HEADERS = (names.TENSOR_DTYPE, names.TENSOR_SHAPE, names.PREDICTION_DTYPE)
_TEXT_HEADERS = (names.EVENT_ID, names.EVENT_TIME, names.EVENT_MODEL, names.EVENT_SEGMENT)
_LONGEST_INTEGER = 20


@dataclass
class HeaderColumns:
    """What the headers of n records say.

    Attributes
    ----------
    formats
        Length n; None for a record that was rejected.
    ids, times, models, segments
        Length n, None where there is none.
    rejected
        Records whose headers cannot be read.
    """

    formats: Sequence[TensorFormat | None]
    ids: Sequence[str | None]
    times: Sequence[str | int | None]
    models: Sequence[str | None]
    segments: Sequence[str | None]
    rejected: list[RejectedEvent] = field(default_factory=list)


class HeaderReader:
    """Reads headers, quickly where all records of a batch have one format.

    Parameters
    ----------
    schema
        What a valid event looks like.
    """

    def __init__(self, schema: EventSchema) -> None:
        self._schema = schema
        self._formats: dict[tuple[bytes | None, ...], TensorFormat] = {}

    def read(self, headers: Sequence[Headers]) -> HeaderColumns:
        """Read the headers of n records."""
        if not any(headers):
            absent = [None] * len(headers)
            return HeaderColumns([self._format({})] * len(headers), absent, absent, absent, absent)
        try:
            return self._read_alike(headers)
        except (_NotAlikeError, BadEventError):
            return self._read_each(headers)

    def _read_alike(self, headers: Sequence[Headers]) -> HeaderColumns:
        """Read the headers of records that have one format."""
        wanted = (*_FORMAT_HEADERS, *_TEXT_HEADERS)
        columns = dict(zip(wanted, header_columns([*headers], wanted), strict=True))
        described = {name: columns[name][0] for name in _FORMAT_HEADERS}
        if any(columns[name].count(value) < len(headers) for name, value in described.items()):
            raise _NotAlikeError
        texts = {
            name: [None if value is None else header_text(name, value) for value in columns[name]]
            for name in _TEXT_HEADERS
        }
        return HeaderColumns(
            formats=[self._format(described)] * len(headers),
            ids=texts[names.EVENT_ID],
            times=[_time(text) for text in texts[names.EVENT_TIME]],
            models=texts[names.EVENT_MODEL],
            segments=texts[names.EVENT_SEGMENT],
        )

    def _read_each(self, headers: Sequence[Headers]) -> HeaderColumns:
        formats: list[TensorFormat | None] = []
        texts: dict[str, list[str | None]] = {name: [] for name in _TEXT_HEADERS}
        rejected: list[RejectedEvent] = []
        for row, pairs in enumerate(headers):
            described = dict(pairs)
            found: dict[str, str | None] = dict.fromkeys(texts)
            event_format = None
            try:
                for name in texts:
                    value = described.get(name)
                    found[name] = None if value is None else header_text(name, value)
                event_format = self._format(described)
            except BadEventError as bad:
                rejected.append(RejectedEvent(row, bad.reason, bad.detail))
            formats.append(event_format)
            for name, column in texts.items():
                column.append(found[name])
        return HeaderColumns(
            formats=formats,
            ids=texts[names.EVENT_ID],
            times=[_time(text) for text in texts[names.EVENT_TIME]],
            models=texts[names.EVENT_MODEL],
            segments=texts[names.EVENT_SEGMENT],
            rejected=rejected,
        )

    def _format(self, described: dict[str, bytes | None]) -> TensorFormat:
        key = tuple(described.get(name) for name in _FORMAT_HEADERS)
        found = self._formats.get(key)
        if found is None:
            found = tensor_format(described, self._schema)
            if len(self._formats) >= MOST_FORMATS:
                self._formats.clear()
            self._formats[key] = found
        return found


class _NotAlikeError(Exception):
    """The records of a batch have different formats."""


def _time(text: str | None) -> str | int | None:
    """Return digits as a number, anything else as it is."""
    if text is None or len(text) > _LONGEST_INTEGER or not text.isascii():
        return text
    return int(text) if text.removeprefix("-").isdigit() else text
