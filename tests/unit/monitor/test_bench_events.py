"""Events that a benchmark makes are those that a monitor accepts."""

from __future__ import annotations

import json

import pytest

from monitor.bench.events import events_of_file, random_events
from monitor.config.settings import MonitorConfig
from monitor.errors import SetupError
from streams.codecs.protocol import codec_class
from streams.events import EventSchema
from tests.records_in_memory import batch_of


def monitor(**changes):
    return MonitorConfig.model_validate(
        {
            "name": "m",
            "input": {"topic": "in", **changes.pop("input", {})},
            "detector": "bundle",
            "window": {"size": 20},
            "alerts": {"topic": "alerts"},
            "dead_letters": {"topic": "dead"},
            **changes,
        }
    )


def decoded(events, config, schema):
    return codec_class(config.input.format)(schema).decode(batch_of([event.value for event in events]))


@pytest.mark.parametrize("form", ["json", "tensor"])
@pytest.mark.parametrize("shape", [(30,), (8, 8, 3)])
def test_random_events_are_accepted(form, shape):
    config = monitor(input={"format": form})
    schema = EventSchema(shape, 4)
    events = random_events(config, schema, segments=1)
    batch = decoded(events, config, schema)
    assert not batch.rejected
    assert len(batch) == len(events) >= 100


def test_segments_are_spread_over_the_field_or_the_key():
    config = monitor(segment_by="field", input={"fields": {"segment": "meta.region"}})
    schema = EventSchema((3,), 2, fields=config.input.event_fields)
    batch = decoded(random_events(config, schema, segments=7)[:14], config, schema)
    assert list(batch.segments) == [f"s{row % 7}" for row in range(14)]

    by_key = monitor(segment_by="key", input={"format": "tensor"})
    assert [e.key for e in random_events(by_key, schema, segments=2)[:3]] == [b"s0", b"s1", b"s0"]


def test_events_are_addressed_to_the_monitor_that_reads_them():
    where = {"model": "m1", "header": {"region": "eu"}, "field": {"meta.tier": "gold"}}
    config = monitor(segment_by="header:tenant", input={"where": where})
    event = random_events(config, EventSchema((3,), 2), segments=2)[1]
    value = json.loads(event.value)
    assert (value["model"], value["meta"]["tier"]) == ("m1", "gold")
    assert sorted(event.headers) == [("region", b"eu"), ("tenant", b"s1")]


def test_events_of_a_file_are_taken_as_they_are(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"instance": [1]}\n\n{"instance": [2]}\n')
    values = [json.loads(event.value) for event in events_of_file(path)]
    assert values == [{"instance": [1]}, {"instance": [2]}]


def test_a_file_without_events_is_refused(tmp_path):
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(SetupError, match="holds no events"):
        events_of_file(tmp_path / "empty.jsonl")
