"""Publishing events from files: arrays encoded the way a monitor reads them, or lines as they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.errors import SetupError
from monitor.samples.sample import Sample
from streams.encoding import encode_json, encode_tensor
from streams.events import EventFields
from streams.kafka.producer import DeliveryConfirmedProducer

CHUNK_ROWS = 1000
"""Rows that are read and encoded at a time, so that a file may be larger than memory."""
FLUSH_SECONDS = 30.0
"""How long the last records may take to be acknowledged."""
SHOW_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class EventFormat:
    """How events are to be written.

    Attributes
    ----------
    name
        ``json`` or ``tensor``.
    fields
        Where a JSON event keeps its parts.
    model
        Model that a JSON event names, if any.
    """

    name: str
    fields: EventFields
    model: str | None = None


def encode_sample(sample: Sample, form: EventFormat, stem: str) -> Iterator[bytes]:
    """Encode instances and predictions as events; JSON events have ids ``<stem>-<row>``.

    Parameters
    ----------
    sample
        What to send.
    form
        How events are written.
    stem
        Beginning of the ids.

    Raises
    ------
    SetupError
        If there is no such format to write.
    """
    if form.name not in ("json", "tensor"):
        raise SetupError(
            f"Events in format {form.name!r} cannot be made from arrays, only 'json' and"
            " 'tensor'; add --format."
        )
    for start in range(0, len(sample.instances), CHUNK_ROWS):
        rows = np.arange(start, min(start + CHUNK_ROWS, len(sample.instances)))
        part = sample.take(rows)
        instances = _float32(part.instances)
        predictions = None if part.predictions is None else _float32(part.predictions)
        if form.name == "tensor":
            yield from encode_tensor(instances, predictions)
        else:
            ids = [f"{stem}-{row}" for row in rows.tolist()]
            yield from (_arranged(value, form) for value in encode_json(instances, predictions, ids=ids))


def read_lines(path: Path) -> Iterator[bytes]:
    """Read a ``.jsonl`` file: each line that is not blank is the value of an event, whatever it holds."""
    with path.open("rb") as file:
        for line in file:
            if value := line.strip():
                yield value


def publish(
    producer: DeliveryConfirmedProducer,
    topic: str,
    events: Iterator[bytes],
    *,
    rate: float | None,
    limit: int | None,
    show: Callable[[int], None],
) -> int:
    """Publish events and wait until the broker has acknowledged them all.

    Parameters
    ----------
    producer
        Confirms deliveries.
    topic
        Where to.
    events
        What.
    rate
        Events per second; as fast as they go when not given.
    limit
        How many at most; all when not given.
    show
        Told now and then how many were sent.

    Returns
    -------
    int
        How many were published.

    Raises
    ------
    KafkaError
        If one of them cannot be delivered.
    """
    begin = time.monotonic()
    shown = begin
    sent = 0
    for event in islice(events, limit):
        producer.send(topic, event)
        sent += 1
        now = time.monotonic()
        if rate is not None and (wait := begin + sent / rate - now) > 0:
            time.sleep(wait)
        if now - shown > SHOW_EVERY_SECONDS:
            shown = now
            show(sent)
    producer.flush(FLUSH_SECONDS)
    show(sent)
    return sent


def _arranged(value: bytes, form: EventFormat) -> bytes:
    """Move the parts of a JSON event to where the config says that they are."""
    if form.fields == EventFields() and form.model is None:
        return value
    event: dict[str, Any] = json.loads(value)
    if form.model is not None:
        event["model"] = form.model
    arranged: dict[str, Any] = {}
    for part, path in asdict(form.fields).items():
        if part in event:
            *parents, name = path.split(".")
            place = arranged
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = event[part]
    return json.dumps(arranged, separators=(",", ":")).encode()


def _float32(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
