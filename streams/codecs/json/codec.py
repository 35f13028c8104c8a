"""Format ``json``: one event a record, decoded to columns without a Python object for any number."""

from __future__ import annotations

from collections.abc import Sequence

from streams.codecs.columns import event_batch, joined_by_row
from streams.codecs.event_reader import ReadEvent
from streams.codecs.json.column_scanner import column_scanner
from streams.codecs.json.parser import EventParser
from streams.codecs.json.reader import JsonReader
from streams.codecs.rejection import BadEventError
from streams.codecs.schema_check import check_schema
from streams.events import EventBatch, EventSchema, RejectedEvent
from streams.records import RecordBatch


class JsonCodec:
    """Decodes JSON events; see ``EventSchema`` for what makes one valid.

    The instance may be nested exactly as the input shape or flat. ``time`` is RFC 3339 text or an integer in
    milliseconds since 1970; ``id``, ``model`` and ``segment`` are texts or integers; null stands for an
    absent field. Where no prediction is required, none is looked at.

    ``EventSchema.others`` are read where they are texts, numbers or truth values.

    An instance serves one thread at a time.

    Parameters
    ----------
    schema
        What a valid event looks like.

    Raises
    ------
    CodecError
        If a field path or the shape is wrong.

    Notes
    -----
    Events of the usual kind are scanned by compiled code. The others, or all where it could not be compiled,
    are parsed by simdjson; and anything unusual goes to ``JsonReader``, which decides. So speed never changes
    a verdict.
    """

    reads_other_fields = True

    def __init__(self, schema: EventSchema) -> None:
        check_schema(schema)
        self._schema = schema
        self._reader = JsonReader(schema)
        self._parser = EventParser(schema, self._judge)
        self._scanner = column_scanner(schema)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        values = records.values
        left: Sequence[int] = range(len(values))
        parts = []
        rejected: list[RejectedEvent] = []
        if self._scanner is not None:
            columns, good, left = self._scanner.read(values)
            parts.append((columns, good))
        if left or not parts:
            columns, good, rejected = self._parser.read(left, [values[row] for row in left])
            parts.append((columns, good))
        for columns, good in parts:
            judged = [self._judge(row, values[row]) for row in columns.rows[~good].tolist()]
            rejected += [event for event in judged if isinstance(event, RejectedEvent)]
        columns = joined_by_row([columns for columns, _ in parts])
        return event_batch(records, self._schema, columns, rejected)

    def _judge(self, row: int, value: bytes | None) -> ReadEvent | RejectedEvent:
        try:
            return self._reader.read(value)
        except BadEventError as bad:
            return RejectedEvent(row, bad.reason, bad.detail)
