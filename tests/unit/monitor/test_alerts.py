"""Alerts as subscribers receive them: what the published JSON Schema promises."""

from __future__ import annotations

import copy
import json
from importlib.resources import files

import jsonschema
import pytest

from monitor.alerts.alert import Alert
from monitor.alerts.policy import AlertKind
from tests.sample_alerts import built, judged

SCHEMA = json.loads((files("monitor") / "schemas" / "alert.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())


def event_of(alert: Alert) -> dict:
    return json.loads(alert.value)


def undocumented(event: object, schema: dict, path: str = "") -> list[str]:
    """Name the fields of an event that the schema says nothing about."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(event, list):
        return [name for item in event for name in undocumented(item, schema.get("items", {}), f"{path}[]")]
    if not isinstance(event, dict) or "additionalProperties" in schema:
        return []
    known = schema.get("properties", {})
    missing = [f"{path}.{name}" for name in event if name not in known]
    return missing + [
        name
        for key in event
        if key in known
        for name in undocumented(event[key], known[key], f"{path}.{key}")
    ]


def test_the_schema_is_a_valid_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_keeps_the_promise(kind):
    event = event_of(built(kind))
    VALIDATOR.validate(event)
    assert event["type"] == f"drift-monitor.drift.{kind.value}.v1"
    assert undocumented(event, SCHEMA) == []


def test_a_detector_without_threshold_keeps_the_promise():
    event = event_of(built(window=judged(flagged_fraction=None), score_threshold=None))
    VALIDATOR.validate(event)
    assert event["data"]["scores"] == {
        "mean": 1.9,
        "max": 4.5,
        "threshold": None,
        "flagged_fraction": None,
    }


def test_times_are_rfc_3339_in_utc():
    event = event_of(built())
    assert event["time"] == "2026-11-20T12:00:00.123Z"
    assert event["data"]["window"]["start_time"] == "2026-11-20T11:59:00.123Z"


def test_offsets_and_examples_lead_back_to_the_events():
    data = event_of(built())["data"]
    assert data["window"]["offsets"] == {"inference-events": {"0": [100, 160], "2": [7, 45]}}
    assert data["examples"][1] == {
        "id": None,
        "topic": "inference-events",
        "partition": 2,
        "offset": 9,
        "score": 4.1,
    }


def test_the_record_follows_the_kafka_binding_of_cloudevents():
    alert = built()
    assert alert.key == b"cifar10/eu"
    assert alert.headers == [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def test_a_repeat_has_the_id_of_the_original_even_when_redis_counts_windows_anew():
    assert (
        event_of(built(window=judged(sequence=1)))["id"] == event_of(built(window=judged(sequence=42)))["id"]
    )


def test_alerts_about_different_things_have_different_ids():
    events = [
        built(),
        built(AlertKind.RESOLVED),
        built(window=judged(first_offset=200)),
        built(monitor="imagenet"),
    ]
    assert len({event_of(event)["id"] for event in events}) == 4


def test_what_later_versions_add_is_accepted():
    event = event_of(built())
    event["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event["data"]["region"] = "eu-west-1"
    VALIDATOR.validate(event)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("specversion",), "0.3"),
        (("id",), "42"),
        (("type",), "drift-monitor.drift.detected.v2"),
        (("time",), "2026-11-20 12:00"),
        (("data", "state"), "normal"),
        (("data", "state"), "pending"),
        (("data", "window", "sequence"), 0),
        (("data", "window", "offsets", "inference-events", "0"), [100]),
        (("data", "test", "p_value"), 1.5),
        (("data", "test", "alternative"), "greater"),
        (("data", "reference", "version"), "7"),
        (("data", "scores", "flagged_fraction"), 34),
        (("data", "examples", 0, "offset"), -1),
        (("data", "examples", 0, "score"), "high"),
    ],
)
def test_a_broken_promise_is_noticed(path, value):
    event = event_of(built())
    part = event
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert not VALIDATOR.is_valid(event)


def test_a_missing_field_is_noticed_wherever_it_is_missing():
    event = event_of(built())
    sections = [(), ("data",), *(("data", name) for name in ("window", "test", "reference", "scores"))]
    for section in sections:
        part = event
        for key in section:
            part = part[key]
        for name in part:
            damaged = copy.deepcopy(event)
            target = damaged
            for key in section:
                target = target[key]
            del target[name]
            assert not VALIDATOR.is_valid(damaged), f"{section}: {name} is not required"


def test_a_resolved_alert_that_says_drift_is_noticed():
    event = event_of(built(AlertKind.RESOLVED))
    event["data"]["state"] = "drift"
    assert not VALIDATOR.is_valid(event)
