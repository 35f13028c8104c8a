"""Format ``oip``: requests and responses of the Open Inference Protocol, version 2, as one record."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from simdjson import Parser

from streams.codecs.columns import EventColumns, event_batch
from streams.codecs.event_fields import routing_text
from streams.codecs.event_time import times_ms
from streams.codecs.json.fields import NO_LAYOUT, FieldReader, UnusualEventError, text_of_integer
from streams.codecs.json.structure import ArrayStructure
from streams.codecs.merged_batches import merged
from streams.codecs.oip.reader import OipEvent, OipReader, json_length
from streams.codecs.oip.scanning import FLOAT64, KnownNestings, TensorScanner
from streams.codecs.oip.templates import Alike, EventTemplates, Template, learnt_template
from streams.codecs.oip.tensors import BINARY_SIZE, HEADER_LENGTH
from streams.codecs.rejection import BadEventError
from streams.codecs.schema_check import check_schema
from streams.codecs.validation import to_float32
from streams.errors import CodecError
from streams.events import EventBatch, EventFields, EventSchema, RejectedEvent
from streams.records import Headers, RecordBatch

_UNUSUAL = (
    UnusualEventError,
    BadEventError,
    TypeError,
    ValueError,
    LookupError,
    RuntimeError,
    AttributeError,
)
_DEFAULTS = EventFields()
_Entry: TypeAlias = tuple[Any, ...]
"""Row, number of instances, instances and predictions as buffers of a dtype each, id, time, model, segment,
and the texts to route by."""


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
    Events that look like one read before are taken apart by ``EventTemplates``. Of others, simdjson parses
    the JSON and copies data into float64 buffers, which are joined and converted once a batch. Anything
    unusual goes to ``OipReader``, which decides; so speed never changes a verdict.
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
        schema = replace(schema, fields=_paths(schema.fields, request, response))
        self._schema = schema
        self._parser = Parser()
        self._fields = FieldReader(schema)
        self._reader = OipReader(schema, input_tensor=input_tensor, output_tensor=output_tensor)
        self._inputs = TensorScanner(input_tensor, schema.input_shape)
        self._outputs = TensorScanner(output_tensor, (schema.n_classes,))
        self._flat = ArrayStructure((1,))
        self._nestings = KnownNestings()
        self._templates, self._binary_templates = EventTemplates(), EventTemplates()

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        values, lengths = records.values, _header_lengths(records.headers)
        most = self._schema.max_bytes
        texts = [
            value if length is None and value is not None and len(value) <= most else None
            for value, length in zip(values, lengths, strict=True)
        ]
        known, others = self._templates.read(texts)
        if any(length is not None for length in lengths):
            known += self._read_binary(values, lengths)
            found = set(chain.from_iterable(alike.rows for alike in known))
            others = [row for row in range(len(values)) if row not in found]
        if len(others) == len(values):
            return self._decode_unknown(records, values, lengths)
        if not others and len(known) == 1:
            return self._decode_alike(records, known[0], values, lengths)
        parts = []
        for alike in known:
            rows = np.array(alike.rows, dtype=np.int64)
            told = [values[row] for row in alike.rows], [lengths[row] for row in alike.rows]
            parts.append((self._decode_alike(records.take(rows), alike, *told), rows))
        if others:
            rows = np.array(others, dtype=np.int64)
            told = [values[row] for row in others], [lengths[row] for row in others]
            parts.append((self._decode_unknown(records.take(rows), *told), rows))
        return merged(records, *parts)

    def _read_binary(self, values: Sequence[bytes | None], lengths: Sequence[bytes | None]) -> list[Alike]:
        """Read events whose numbers follow their JSON, as far as they are known."""
        heads = [self._head(value, length) for value, length in zip(values, lengths, strict=True)]
        known, _ = self._binary_templates.read(heads)
        for alike in known:
            alike.followed_by([(values[row] or b"")[len(heads[row] or b"") :] for row in alike.rows])
        return [alike for alike in known if alike.rows]

    def _head(self, value: bytes | None, length: bytes | None) -> bytes | None:
        """Return the JSON of an event that has binary data; None for any other."""
        if value is None or length is None or len(value) > self._schema.max_bytes:
            return None
        try:
            return value[: json_length(value, length)]
        except BadEventError:
            return None

    def _decode_alike(
        self,
        records: RecordBatch,
        alike: Alike,
        values: Sequence[bytes | None],
        lengths: Sequence[bytes | None],
    ) -> EventBatch:
        """Decode what a template has taken apart."""
        ids, given_times, models, segments, *others = alike.texts
        times, has_time, unreadable = times_ms(given_times)
        columns = EventColumns(
            rows=np.arange(len(values), dtype=np.int64),
            instances=to_float32(alike.instances(math.prod(self._schema.input_shape))),
            predictions=to_float32(alike.predictions(self._schema.n_classes))
            if self._schema.prediction_required
            else None,
            times_ms=times,
            has_time=has_time,
            ids=ids,
            segments=segments,
            models=models,
            others=dict(zip(self._schema.others, others, strict=True)),
        )
        good = columns.valid_numbers() & ~unreadable
        judged = [self._judge(row, values[row], lengths[row]) for row in np.flatnonzero(~good).tolist()]
        rejected = [event for event in judged if isinstance(event, RejectedEvent)]
        return event_batch(records, self._schema, columns, rejected)

    def _decode_unknown(
        self, records: RecordBatch, values: Sequence[bytes | None], lengths: Sequence[bytes | None]
    ) -> EventBatch:
        """Decode events one by one, and learn how they look."""
        found = self._parse(values, lengths)
        columns, good = self._columns(found)
        doubtful = dict.fromkeys(columns.rows[~good].tolist(), b"") | self._unknown_nesting(found)
        for row, text in doubtful.items():
            judged = self._judge(row, values[row], lengths[row])
            if isinstance(judged, RejectedEvent):
                found.rejected.append(judged)
            elif text:
                self._nestings.learn(text)
        batch = event_batch(records, self._schema, columns, found.rejected)
        self._learn(batch, values, lengths)
        return batch

    def _learn(
        self, batch: EventBatch, values: Sequence[bytes | None], lengths: Sequence[bytes | None]
    ) -> None:
        """Learn how events look from those that were not known before."""
        accepted = batch.rows.tolist()
        read = self._reader.read
        in_json = next((values[row] for row in accepted if lengths[row] is None), None)
        if in_json is not None:
            self._templates.learn(len(values), in_json, lambda: learnt_template(in_json, read))
        described = next(((values[row], lengths[row]) for row in accepted if lengths[row] is not None), None)
        if described is None:
            return
        value, length = described
        start = json_length(value, length)
        text, data = value[:start], value[start:]

        def learnt() -> Template | None:
            layout = self._reader.binary_layout(text)
            if layout is None:
                return None
            return learnt_template(text, lambda other: read(other + data, b"%d" % len(other)), layout)

        self._binary_templates.learn(len(values), text, learnt)

    def _parse(self, values: Sequence[bytes | None], lengths: Sequence[bytes | None]) -> _Found:
        """Take the fields out of all values that have them, with the right counts of numbers."""
        found = _Found()
        add, add_text = found.entries.append, found.texts.append
        max_bytes = self._schema.max_bytes
        needs_prediction = self._schema.prediction_required
        parse: Callable[[bytes], Any] = self._parser.parse
        read, read_input, read_output = self._fields.read, self._inputs.read, self._outputs.read
        width, at_input, at_output, at_id, at_time, at_model, at_segment = NO_LAYOUT
        follows_layout = True
        no_others: list[Any] = []
        # The only loop that runs once an event: its length buys it calls and look-ups.
        for row, (value, length) in enumerate(zip(values, lengths, strict=True)):
            event = inputs = outputs = predictions = None
            predicted_as, others = FLOAT64, no_others
            try:
                if value is None or len(value) > max_bytes:
                    raise UnusualEventError
                text, binary = value, None
                if length is not None:
                    start = json_length(value, length)
                    text, binary = value[:start], value[start:]
                elif BINARY_SIZE in value:
                    raise UnusualEventError
                event = parse(text)
                if len(event) == width:
                    inputs = event[at_input]
                    outputs = None if at_output is None else event[at_output]
                    identifier = None if at_id is None else event[at_id]
                    time = None if at_time is None else event[at_time]
                    model = None if at_model is None else event[at_model]
                    segment = None if at_segment is None else event[at_segment]
                else:
                    (inputs, outputs, identifier, time, model, segment, *others), layout = read(event)
                    others = [routing_text(other) for other in others] if others else no_others
                    if layout is not None and follows_layout:
                        width, at_input, at_output, at_id, at_time, at_model, at_segment = layout
                if binary is not None and (len(inputs) > 1 or (outputs is not None and len(outputs) > 1)):
                    raise UnusualEventError
                count, instances, given_as, used = read_input(inputs, binary, 0)
                if needs_prediction:
                    predicted, predictions, predicted_as, used = read_output(outputs, binary, used)
                    if predicted != count:
                        raise UnusualEventError
                if binary is not None and used != len(binary):
                    raise UnusualEventError
                if identifier is not None and identifier.__class__ is not str:
                    identifier = text_of_integer(identifier)
                if model is not None and model.__class__ is not str:
                    model = text_of_integer(model)
                if segment is not None and segment.__class__ is not str:
                    segment = text_of_integer(segment)
                if time.__class__ is not str and time.__class__ is not int and time is not None:
                    raise UnusualEventError
            except _UNUSUAL as error:
                if isinstance(error, KeyError):
                    # Events of as many keys but others: each miss is dear, so stop guessing for this batch.
                    width, follows_layout = NO_LAYOUT.width, False
                # The parser cannot be used again while anything points into its document.
                event = inputs = outputs = None
                judged = self._judge(row, value, length)
                if isinstance(judged, RejectedEvent):
                    found.rejected.append(judged)
                    continue
                found.judged.add(row)
                add(_entry(row, judged))
                continue
            described = identifier, time, model, segment, others
            add((row, count, instances, given_as, predictions, predicted_as, *described))
            add_text(text)
        return found

    def _columns(self, found: _Found) -> tuple[EventColumns, npt.NDArray[np.bool_]]:
        """Turn what was parsed into columns, and tell which instances have valid numbers and times."""
        entries = zip(*found.entries, strict=True) if found.entries else repeat((), 11)
        rows, counted, instances, given_as, predictions, predicted_as, *described = entries
        ids, given_times, models, segments, others = described
        counts = np.array(counted, dtype=np.int64)
        times, has_time, unreadable = times_ms(given_times)
        size, n_classes = math.prod(self._schema.input_shape), self._schema.n_classes
        required = self._schema.prediction_required
        columns = EventColumns(
            rows=np.repeat(np.array(rows, dtype=np.int64), counts),
            instances=_as_matrix(instances, given_as, size),
            predictions=_as_matrix(predictions, predicted_as, n_classes) if required else None,
            times_ms=np.repeat(times, counts),
            has_time=np.repeat(has_time, counts),
            ids=_repeated(ids, counts),
            segments=_repeated(segments, counts),
            models=_repeated(models, counts),
            others={
                path: _repeated(texts, counts)
                for path, texts in zip(self._schema.others, zip(*others, strict=True), strict=False)
            },
        )
        return columns, columns.valid_numbers() & ~np.repeat(unreadable, counts)

    def _unknown_nesting(self, found: _Found) -> dict[int, bytes]:
        """Find the rows whose data are neither evidently flat nor nested as others were that are right."""
        if self._flat.is_evident(found.texts):
            return {}
        rows = (entry[0] for entry in found.entries if entry[0] not in found.judged)
        texts = zip(rows, found.texts, strict=True)
        return {row: text for row, text in texts if not self._nestings.knows(text)}

    def _judge(self, row: int, value: bytes | None, length: bytes | None) -> OipEvent | RejectedEvent:
        try:
            return self._reader.read(value, length)
        except BadEventError as bad:
            return RejectedEvent(row, bad.reason, bad.detail)


@dataclass
class _Found:
    """What the parser found, one entry for each event that is not rejected yet."""

    entries: list[_Entry] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    judged: set[int] = field(default_factory=set)
    """Rows of the events that the exact reader has accepted."""
    texts: list[bytes] = field(default_factory=list)
    """JSON of the other events, in whose nesting nobody has looked."""


def _entry(row: int, event: OipEvent) -> _Entry:
    instances, predictions = event.instances, event.predictions
    described = event.id, event.time_ms, event.model, event.segment, event.others
    return (row, event.count, instances, FLOAT64, predictions, FLOAT64, *described)


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


def _header_lengths(headers: Sequence[Headers]) -> list[bytes | None]:
    """Return what each record says of the length of its JSON; the last of several headers counts."""
    if not any(headers):
        return [None] * len(headers)
    return [_header_length(pairs) for pairs in headers]


def _header_length(headers: Headers) -> bytes | None:
    for name, value in reversed(headers):
        if name.lower() == HEADER_LENGTH:
            return value
    return None


def _as_matrix(
    buffers: Sequence[Any], dtypes: Sequence[np.dtype[Any]], width: int
) -> npt.NDArray[np.float32]:
    """Join buffers of ``width`` numbers, or a multiple of it, to one float32 matrix."""
    if dtypes and dtypes.count(dtypes[0]) < len(dtypes):
        pairs = zip(buffers, dtypes, strict=True)
        buffers = [np.frombuffer(buffer, dtype).astype(FLOAT64) for buffer, dtype in pairs]
        dtypes = [FLOAT64]
    joined = np.frombuffer(b"".join(buffers), dtypes[0] if dtypes else FLOAT64)
    return to_float32(joined).reshape(-1, width)


def _repeated(texts: Sequence[str | None], counts: npt.NDArray[np.int64]) -> Sequence[str | None]:
    if (counts == 1).all():
        return texts
    return list(chain.from_iterable(map(repeat, texts, counts.tolist())))
