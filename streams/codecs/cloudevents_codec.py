"""Format ``cloudevents``: events of another format inside CloudEvents 1.0, in binary and structured mode.

Source: CloudEvents 1.0, its Kafka protocol binding and its JSON format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from streams.codecs.event_time import EXPECTED_TIME, times_ms
from streams.codecs.merged_batches import merged
from streams.codecs.protocol import Codec, codec_class, open_codec
from streams.codecs.rejection import shown
from streams.errors import CodecError
from streams.events import EventBatch, EventFields, EventSchema, RejectedEvent, RejectReason
from streams.parts import header_columns
from streams.records import Headers, RecordBatch

ATTRIBUTE_PREFIX = "ce_"
"""What the headers of an event in binary mode begin with."""

_JSON_DATA = ("json", "oip")
"""Formats whose events are JSON, so that structured mode can hold them as they are."""


class CloudEventsCodec:
    """Decodes events that carry an event of another format as their data.

    In binary mode the value is the data and headers ``ce_...`` are the attributes; a record without such
    headers is in structured mode, where one JSON object holds both. The id and the time of an event are those
    of the CloudEvent.

    An instance serves one thread at a time.

    Parameters
    ----------
    schema
        What a valid event looks like; its fields are looked for in the data.
    data
        Format of the data.
    data_options
        Options of that format.
    model_attribute, segment_attribute
        Attributes to take the model's and the segment's name from, instead of the data.

    Raises
    ------
    CodecError
        If an option is wrong.
    """

    reads_other_fields = True

    def __init__(
        self,
        schema: EventSchema,
        *,
        data: str = "json",
        data_options: Mapping[str, Any] | None = None,
        model_attribute: str | None = None,
        segment_attribute: str | None = None,
    ) -> None:
        if data_options is not None and not isinstance(data_options, Mapping):
            raise CodecError(f"The option 'data_options' is {data_options!r}, expected names and values.")
        for name, option in {
            "model_attribute": model_attribute,
            "segment_attribute": segment_attribute,
        }.items():
            if option is not None and not (isinstance(option, str) and option.isalnum()):
                raise CodecError(f"The option {name!r} is {option!r}, expected the name of an attribute.")
        if data == "cloudevents":
            raise CodecError("The option 'data' is 'cloudevents', expected the format of what is inside.")
        options = data_options or {}
        self._model, self._segment = model_attribute, segment_attribute
        chosen = (name for name in (model_attribute, segment_attribute) if name is not None)
        self._wanted = sorted({"id", "time", *chosen})
        if schema.others and not getattr(codec_class(data), "reads_other_fields", False):
            raise CodecError(f"Events of format {data!r} have no fields to route by; route by key or header.")
        self._binary = open_codec(data, schema, options)
        self._structured: Codec | None = None
        if data in _JSON_DATA:
            within = replace(
                schema,
                fields=self._structured_fields(schema.fields),
                others=tuple(f"data.{path}" for path in schema.others),
            )
            if data == "oip":
                # Where it looks for the id is the response's; the CloudEvent's comes with the other texts.
                within = replace(within, others=(*within.others, "id"))
                places = {key: f"data.{options.get(key, '')}".rstrip(".") for key in ("request", "response")}
                options = {**options, **places}
            self._structured = open_codec(data, within, options)

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises."""
        if not any(records.headers):
            return self._decode_structured(records)
        names = tuple(ATTRIBUTE_PREFIX + name for name in self._wanted)
        contents = dict(zip(self._wanted, header_columns(records.headers, names), strict=True))
        if None not in contents["id"]:
            texts = ([None if one is None else _text(one) for one in column] for column in contents.values())
            return self._decode_binary(records, dict(zip(contents, texts, strict=True)))
        attributes = [attributes_in(headers) for headers in records.headers]
        binary = np.array([bool(found) for found in attributes], dtype=np.bool_)
        rows, others = np.flatnonzero(binary), np.flatnonzero(~binary)
        of_row = [attributes[row] for row in rows.tolist()]
        columns = {name: [found.get(name) for found in of_row] for name in self._wanted}
        first = self._decode_binary(records.take(rows), columns)
        return merged(records, (first, rows), (self._decode_structured(records.take(others)), others))

    def _decode_binary(
        self, records: RecordBatch, attributes: Mapping[str, Sequence[str | None]]
    ) -> EventBatch:
        events = self._binary.decode(records)
        rows = events.rows.tolist()

        def column(name: str) -> list[str | None]:
            texts = attributes[name]
            return [texts[row] for row in rows]

        given = column("time")
        times, has_time, unreadable = times_ms(given)
        events = replace(
            events,
            ids=column("id"),
            times_ms=np.where(has_time, times, events.times_ms),
            models=events.models if self._model is None else column(self._model),
            segments=events.segments if self._segment is None else column(self._segment),
        )
        if not unreadable.any():
            return events
        bad = {int(events.rows[at]): given[at] for at in np.flatnonzero(unreadable).tolist()}
        refused = [
            RejectedEvent(
                row,
                RejectReason.WRONG_DTYPE,
                f"The attribute 'time' is {shown(time)}, expected {EXPECTED_TIME}.",
            )
            for row, time in bad.items()
        ]
        kept = events.take(~np.isin(events.rows, list(bad)))
        return replace(kept, rejected=sorted([*events.rejected, *refused], key=lambda event: event.row))

    def _decode_structured(self, records: RecordBatch) -> EventBatch:
        if self._structured is None:
            # The codec of the data finds no event in any of these: let it refuse nothing by mistake.
            detail = "The record has no header 'ce_id', expected binary mode, since its data are not JSON."
            refused = [RejectedEvent(row, RejectReason.UNDECODABLE, detail) for row in range(len(records))]
            nothing = self._binary.decode(records.take(np.empty(0, dtype=np.int64)))
            return replace(nothing, records=records, rejected=refused)
        events = self._structured.decode(records)
        others = {path.removeprefix("data."): texts for path, texts in events.others.items() if path != "id"}
        return replace(events, ids=events.others.get("id", events.ids), others=others)

    def _structured_fields(self, fields: EventFields) -> EventFields:
        return EventFields(
            instance=f"data.{fields.instance}",
            prediction=f"data.{fields.prediction}",
            id="id",
            time="time",
            model=self._model or f"data.{fields.model}",
            segment=self._segment or f"data.{fields.segment}",
        )


def attributes_in(headers: Headers) -> dict[str, str]:
    """Return the attributes among headers; the last of several of a name counts."""
    return {
        name[3:]: _text(value)
        for name, value in dict(headers).items()
        if value is not None and name[:3] == ATTRIBUTE_PREFIX
    }


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
