"""Events to measure with: random ones of the right shape, or those of a file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import KafkaException, Producer

from monitor.config import MonitorConfig
from monitor.errors import SetupError
from monitor.routing import Place, Route
from monitor.samples.sample import Sample
from monitor.sending import EventFormat, encode_sample, read_lines
from streams.errors import KafkaError
from streams.events import EventSchema
from streams.records import Headers

DISTINCT_BYTES = 8_000_000
DISTINCT_EVENTS = 20_000
"""Events that differ, at most, and their bytes; the topic repeats them."""
NUMBER_BYTES = 12
"""About what a float32 takes in JSON."""
QUEUED_EVENTS = 20_000
FLUSH_SECONDS = 60.0


@dataclass(frozen=True)
class Event:
    """One event as it is published."""

    value: bytes
    key: bytes | None = None
    headers: Headers = field(default_factory=list)


def random_events(monitor: MonitorConfig, schema: EventSchema, segments: int, seed: int = 0) -> list[Event]:
    """Make events that the monitor accepts.

    Parameters
    ----------
    monitor
        Who is to read them; its format must be one that can be written.
    schema
        Shape of its instances and predictions.
    segments
        Number of segments that they are spread over, in turn.
    seed
        Of the numbers: instances are standard normal, predictions uniform over all distributions.
    """
    size = math.prod(schema.input_shape)
    n = max(100, min(DISTINCT_EVENTS, DISTINCT_BYTES // (NUMBER_BYTES * size)))
    n = max(n, segments)
    generator = np.random.default_rng(seed)
    sample = Sample(
        generator.standard_normal((n, *schema.input_shape), dtype=np.float32),
        generator.dirichlet(np.ones(schema.n_classes), size=n) if schema.prediction_required else None,
    )
    form = EventFormat(monitor.input.format, schema.fields)
    values = list(encode_sample(sample, form, "bench"))
    route = Route.of(monitor)
    return [
        _addressed(value, monitor, {**dict(route.conditions), **_segment(route, row % segments)})
        for row, value in enumerate(values)
    ]


def events_of_file(path: Path) -> list[Event]:
    """Read events from a ``.jsonl`` file, one a line, as they are.

    Raises
    ------
    SetupError
        If there is none.
    """
    events = [Event(value) for value in islice(read_lines(path), DISTINCT_EVENTS)]
    if not events:
        raise SetupError(f"{path} holds no events; it must have one on each line.")
    return events


def _segment(route: Route, number: int) -> dict[Place, str]:
    return {} if route.segment is None else {route.segment: f"s{number}"}


def _addressed(value: bytes, monitor: MonitorConfig, texts: Mapping[Place, str]) -> Event:
    """Put texts where the monitor looks for them."""
    key: bytes | None = None
    headers: Headers = []
    fields = monitor.input.fields
    paths = {}
    for place, text in texts.items():
        if place.kind == "key":
            key = text.encode()
        elif place.kind == "header":
            headers.append((place.name, text.encode()))
        else:
            paths[place.name or getattr(fields, place.kind)] = text
    if paths:
        event: dict[str, Any] = json.loads(value)
        for path, text in paths.items():
            *parents, name = path.split(".")
            within = event
            for parent in parents:
                within = within.setdefault(parent, {})
            within[name] = text
        value = json.dumps(event, separators=(",", ":")).encode()
    return Event(value, key, headers)


def fill(producer: Producer, topic: str, events: Sequence[Event], count: int, partitions: int) -> None:
    """Publish ``count`` events, in turn to all partitions, and wait until the broker has them.

    Raises
    ------
    KafkaError
        If one cannot be delivered.
    """
    failures: list[str] = []

    def on_delivery(error: Any, _: Any) -> None:
        if error is not None:
            failures.append(error.str())

    for row in range(count):
        event = events[row % len(events)]
        while len(producer) > QUEUED_EVENTS:
            producer.poll(0.05)
        try:
            producer.produce(
                topic,
                event.value,
                event.key,
                partition=row % partitions,
                headers=event.headers or None,
                on_delivery=on_delivery,
            )
        except KafkaException as error:
            raise KafkaError(f"An event could not be published: {error.args[0].str()}") from error
        producer.poll(0)
    if producer.flush(FLUSH_SECONDS) or failures:
        raise KafkaError(f"Events could not be published: {failures[0] if failures else 'no answer'}.")
