"""Format ``oip``: requests and responses of the Open Inference Protocol, version 2, as one record."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from streams.codecs.columns import EventColumns, event_batch, joined_by_row
from streams.codecs.json.column_scanner import column_scanner
from streams.codecs.oip.reader import LONGEST_LENGTH, Numbers, OipEvent, OipReader
from streams.codecs.oip.tensors import HEADER_LENGTH
from streams.codecs.rejection import BadEventError
from streams.codecs.schema_check import check_schema
from streams.codecs.validation import to_float32
from streams.errors import CodecError
from streams.events import EventBatch, EventFields, EventSchema, RejectedEvent
from streams.records import Headers, RecordBatch

if TYPE_CHECKING:
    from streams.codecs.json.scanner import EventScanner, Keys

_DEFAULTS = EventFields()


class OipCodec:
    """Decodes events that hold a request's ``inputs`` and the response's ``outputs``.

    A tensor's data are JSON numbers, flat or nested as its shape, or follow the JSON in binary form, first
    those of the inputs, then those of the outputs, each in the order described; the record's header
    ``Inference-Header-Content-Length`` tells where they begin. A tensor holds one instance, or n along its
    first axis. The id and the model's name are where the response has them, unless ``schema.fields`` names
    other places; time and segment are looked for at the root.

    An instance serves one thread at a time.

    Parameters
    ----------
    schema
        What a valid event looks like.
    input_tensor, output_tensor
        Names of the tensors that are the model's input and its probabilities; needed where there are several.
    request, response
        Paths of the objects that hold ``inputs`` and ``outputs``; the event itself when empty.

    Raises
    ------
    CodecError
        If an option, a field path or the shape is wrong.

    Notes
    -----
    Events of the usual kind are scanned by compiled code. All others, or all where it could not be compiled,
    go to ``OipReader``, which decides; so speed never changes a verdict.
    """

    reads_other_fields = True

    def __init__(
        self,
        schema: EventSchema,
        *,
        input_tensor: str | None = None,
        output_tensor: str | None = None,
        request: str = "",
        response: str = "",
    ) -> None:
        check_schema(schema)
        given = {
            "input_tensor": input_tensor,
            "output_tensor": output_tensor,
            "request": request,
            "response": response,
        }
        for name, option in given.items():
            if option is not None and not isinstance(option, str):
                raise CodecError(f"The option {name!r} is {option!r}, expected text.")
        self._schema = replace(schema, fields=_paths(schema.fields, request, response))
        self._reader = OipReader(self._schema, input_tensor=input_tensor, output_tensor=output_tensor)
        self._scanner = column_scanner(self._schema, partial(_open_scanner, (input_tensor, output_tensor)))

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        values, headers = records.values, records.headers
        left: Sequence[int] = range(len(values))
        doubtful: Sequence[int] = ()
        parts = []
        if self._scanner is not None:
            columns, good, left = self._scanner.read(values, _json_lengths(headers))
            doubtful = np.unique(columns.rows[~good]).tolist()
            parts.append(columns)
        judged = {row: self._judge(row, values[row], headers[row]) for row in (*left, *doubtful)}
        rejected = [event for event in judged.values() if isinstance(event, RejectedEvent)]
        accepted = {row: event for row in left if isinstance(event := judged[row], OipEvent)}
        if accepted or not parts:
            parts.append(self._columns(accepted))
        return event_batch(records, self._schema, joined_by_row(parts), rejected)

    def _columns(self, accepted: Mapping[int, OipEvent]) -> EventColumns:
        """Turn events that were read one by one, by row, into columns."""
        events = accepted.values()
        counts = np.array([event.count for event in events], dtype=np.int64)

        def texts(column: Iterable[str | None]) -> list[str | None]:
            return list(chain.from_iterable(map(repeat, column, counts.tolist())))

        def numbers(arrays: Iterable[Numbers | None], width: int) -> npt.NDArray[np.float32]:
            return to_float32(np.concatenate([np.empty(0), *arrays])).reshape(-1, width)

        predictions = None
        if self._schema.prediction_required:
            predictions = numbers((event.predictions for event in events), self._schema.n_classes)
        times = [event.time_ms for event in events]
        return EventColumns(
            rows=np.repeat(np.array(list(accepted), dtype=np.int64), counts),
            instances=numbers((event.instances for event in events), math.prod(self._schema.input_shape)),
            predictions=predictions,
            times_ms=np.repeat(np.array([time or 0 for time in times], dtype=np.int64), counts),
            has_time=np.repeat(np.array([time is not None for time in times], dtype=np.bool_), counts),
            ids=texts(event.id for event in events),
            segments=texts(event.segment for event in events),
            models=texts(event.model for event in events),
            others={
                path: texts(event.others[at] for event in events)
                for at, path in enumerate(self._schema.others)
            },
        )

    def _judge(self, row: int, value: bytes | None, headers: Headers) -> OipEvent | RejectedEvent:
        try:
            return self._reader.read(value, _header_length(headers))
        except BadEventError as bad:
            return RejectedEvent(row, bad.reason, bad.detail)


def _open_scanner(
    names: Sequence[str | None], wanted: Keys, shape: Sequence[int], n_classes: int, max_bytes: int
) -> EventScanner:
    """Open a scanner of the tensors of these names.

    Raises
    ------
    ImportError
        If it could not be compiled.
    """
    from streams.codecs.oip.scanner import TensorScanner

    encoded = [name if name is None else name.encode() for name in names]
    return TensorScanner(wanted, shape, n_classes, max_bytes, encoded)


def _paths(fields: EventFields, request: str, response: str) -> EventFields:
    """Say where the parts of an event stand."""

    def below(path: str, key: str) -> str:
        return f"{path}.{key}" if path else key

    return EventFields(
        instance=below(request, "inputs"),
        prediction=below(response, "outputs"),
        id=below(response, "id") if fields.id == _DEFAULTS.id else fields.id,
        time=fields.time,
        model=below(response, "model_name") if fields.model == _DEFAULTS.model else fields.model,
        segment=fields.segment,
    )


def _json_lengths(headers: Sequence[Headers]) -> npt.NDArray[np.int64] | None:
    """Return how many bytes of each value are JSON: as its header says, negative where it has none."""
    if not any(headers):
        return None
    return np.array([_stated_length(_header_length(pairs)) for pairs in headers], dtype=np.int64)


def _header_length(headers: Headers) -> bytes | None:
    """Return what a record says of the length of its JSON; the last of several headers counts."""
    for name, value in reversed(headers):
        if name.lower() == HEADER_LENGTH:
            return value
    return None


def _stated_length(header: bytes | None) -> int:
    """Read the header; what is no length is more than any value has, so that the value is not scanned."""
    if header is None:
        return -1
    return int(header) if len(header) <= LONGEST_LENGTH and header.isdigit() else sys.maxsize
