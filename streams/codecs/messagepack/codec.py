"""Format ``msgpack``: one MessagePack map a record, decoded to columns."""

from __future__ import annotations

import numpy as np

from streams.codecs.columnar.cursors import Cursors
from streams.codecs.columnar.found import Found
from streams.codecs.columnar.wanted import wanted_fields
from streams.codecs.event_reader import ReadEvent
from streams.codecs.messagepack.exact import ExactReader
from streams.codecs.messagepack.maps import read_maps
from streams.codecs.schema_check import check_schema
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch


class MessagePackCodec:
    """Decodes MessagePack events that are laid out as JSON ones are.

    The instance and the prediction are arrays of numbers, flat or nested as the input shape, or a binary or
    an extension with little-endian float32 or float64. ``time`` is an integer in milliseconds since 1970,
    RFC 3339 text or a timestamp; ``id``, ``model`` and ``segment`` are texts or integers. Nil stands for an
    absent field.

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
    The maps of all events are read side by side with numpy, one key at a time. Whatever is doubtful goes to
    ``ExactReader``, which decides; so speed never changes a verdict.
    """

    reads_other_fields = True

    def __init__(self, schema: EventSchema) -> None:
        check_schema(schema)
        self._schema = schema
        self._wanted = wanted_fields(schema)
        self._shapes = {"instance": schema.input_shape, "prediction": (schema.n_classes,)}
        self._exact = ExactReader(schema)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        values = records.values
        found = Found(self._schema, len(values))
        sizes = np.fromiter((len(value or b"") for value in values), dtype=np.int64, count=len(values))
        found.good = (sizes > 0) & (sizes <= self._schema.max_bytes)
        rows = np.flatnonzero(found.good)
        cursors = Cursors.over([values[row] or b"" for row in rows.tolist()], rows)
        read_maps(cursors, self._wanted, self._shapes, found)
        cursors.doubt(cursors.at != cursors.ends)
        found.good[rows] &= cursors.good

        def judge(row: int) -> ReadEvent:
            return self._exact.read(values[row])

        return found.finish(records, judge)
