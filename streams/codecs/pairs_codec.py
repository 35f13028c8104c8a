"""Format ``pairs``: requests and responses that are CloudEvents of their own, paired by their id."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from streams.codecs.cloudevents_codec import attributes_in
from streams.codecs.json_reader import load_json
from streams.codecs.protocol import open_codec
from streams.codecs.rejection import BadEventError, checked_value, refuse, shown
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema, RejectedEvent, RejectReason
from streams.records import Message, RecordBatch
from streams.state.pair_store import Answer, Half, PairStore

log = logging.getLogger(__name__)

KINDS = ("request", "response")
"""How the types of the two halves end, such as ``org.kubeflow.serving.inference.request``."""

LONGEST_WAIT_SECONDS = 86_400

REMEMBERED_MS = 600_000
"""How long it is remembered, at least, what became of an event: for records that a crash delivers again."""


class PairsCodec:
    """Decodes the requests and responses that a logger publishes as CloudEvents of one topic.

    A half waits in Redis for the other one. The two make one event, at the place of the half that came
    second: a JSON object of the request's attributes, ``request`` and ``response``, read as ``data`` says.

    Parameters
    ----------
    schema
        What a valid event looks like; its size limit is that of a half and of both together.
    pairs
        Where halves wait.
    data
        Format of the event that two halves make.
    data_options
        Options of that format; for ``oip``, ``request`` and ``response`` are set.
    within_seconds
        How long a half waits for the other.

    Raises
    ------
    CodecError
        If an option is wrong.
    """

    def __init__(
        self,
        schema: EventSchema,
        *,
        pairs: PairStore,
        data: str = "oip",
        data_options: Mapping[str, Any] | None = None,
        within_seconds: float = 300,
    ) -> None:
        if type(within_seconds) not in (int, float) or not 0 < within_seconds <= LONGEST_WAIT_SECONDS:
            raise CodecError(
                f"The option 'within_seconds' is {within_seconds!r}, expected at most {LONGEST_WAIT_SECONDS}."
            )
        if data_options is not None and not isinstance(data_options, Mapping):
            raise CodecError(f"The option 'data_options' is {data_options!r}, expected names and values.")
        places = {kind: kind for kind in KINDS} if data == "oip" else {}
        self._codec = open_codec(data, schema, {**places, **(data_options or {})})
        self._max_bytes = schema.max_bytes
        self._pairs = pairs
        self._within_ms = max(1, int(within_seconds * 1000))

    def decode(self, records: RecordBatch) -> EventBatch:
        """Decode a batch; a bad event is listed in ``rejected`` and never raises.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; decode the batch again.
        """
        halves: dict[int, Half] = {}
        rejected: list[RejectedEvent] = []
        for row, message in enumerate(records.messages):
            try:
                halves[row] = _half(message, self._max_bytes)
            except BadEventError as bad:
                rejected.append(RejectedEvent(row, bad.reason, bad.detail))
        answers = self._bring(records.topic, halves)
        late = {row for row, answer in answers.items() if answer.outcome == "late"}
        rejected += [self._late(row, halves[row]) for row in late]
        complete = np.array([row for row, answer in answers.items() if not answer.outcome], dtype=np.int64)
        made = [_Pair(records.messages[row], _event(halves[row], answers[row])) for row in complete.tolist()]
        events = self._codec.decode(RecordBatch(records.topic, made))
        rows = complete[events.rows]
        rejected += [replace(event, row=int(complete[event.row])) for event in events.rejected]
        return replace(
            events,
            records=records,
            rows=rows,
            ids=[halves[row].event for row in rows.tolist()],
            rejected=sorted(rejected, key=lambda event: event.row),
            waiting=[row for row, answer in answers.items() if answer.outcome in ("wait", "again")],
        )

    def _bring(self, topic: str, halves: Mapping[int, Half]) -> dict[int, Answer]:
        answers, lost = self._pairs.bring(
            topic, list(halves.values()), self._within_ms, max(REMEMBERED_MS, self._within_ms)
        )
        if lost:
            log.warning(
                "%d requests or responses of topic %r found no other half within %g seconds, such as the %s.",
                len(lost),
                topic,
                self._within_ms / 1000,
                " at ".join(lost[0].split(" ", 1)),
            )
        return dict(zip(halves, answers, strict=True))

    def _late(self, row: int, half: Half) -> RejectedEvent:
        other = KINDS[1 - KINDS.index(half.kind)]
        detail = (
            f"The {half.kind} {shown(half.event)} came too late: its {other} had waited for"
            f" {self._within_ms / 1000:g} seconds."
        )
        return RejectedEvent(row, RejectReason.UNPAIRED, detail)


class _Pair:
    """The record that completed an event, with both halves as its value."""

    def __init__(self, message: Message, value: bytes) -> None:
        self._value = value
        self.topic, self.partition, self.offset = message.topic, message.partition, message.offset
        self.key, self.headers, self.timestamp = message.key, message.headers, message.timestamp

    def value(self) -> bytes | None:
        """Return both halves."""
        return self._value


def _half(message: Message, max_bytes: int) -> Half:
    value = checked_value(message.value(), max_bytes)
    attributes: dict[str, Any] = dict(attributes_in(message.headers() or []))
    if not attributes:
        event, _ = load_json(value)
        # NaN is written as it was read, so that the event is refused for it when it is complete.
        value = json.dumps(event.pop("data", None), separators=(",", ":")).encode()
        attributes = event
    kind, identifier = str(attributes.get("type", "")).rpartition(".")[2], attributes.get("id")
    if kind not in KINDS:
        refuse(
            RejectReason.MISSING_FIELD,
            f"The attribute 'type' is {shown(attributes.get('type'))}, expected one that ends in"
            " '.request' or '.response'.",
        )
    if not isinstance(identifier, str) or not identifier:
        refuse(RejectReason.MISSING_FIELD, f"The attribute 'id' is {shown(identifier)}, expected a text.")
    described = json.dumps(attributes, separators=(",", ":")).encode()
    place = f"{message.partition()}:{message.offset()}"
    return Half(identifier, kind, place, described + b"\n" + value)


def _event(half: Half, answer: Answer) -> bytes:
    """Put both halves into one event."""
    first, second = (half.content, answer.other) if half.kind == "request" else (answer.other, half.content)
    attributes, _, request = first.partition(b"\n")
    response = second.partition(b"\n")[2]
    return attributes[:-1] + b',"request":' + request + b',"response":' + response + b"}"
