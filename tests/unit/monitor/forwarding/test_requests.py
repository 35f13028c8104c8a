"""What receivers are sent, against what they promise to accept."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import jsonschema
import pytest

from monitor.alerts.policy import AlertKind
from monitor.alerts.received import ReceivedAlert
from monitor.forwarding.requests import alertmanager_content, webhook_content
from tests.sample_alerts import built, judged

LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
POSTABLE_ALERTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["labels"],
        "properties": {
            "labels": {
                **LABELS,
                "minProperties": 1,
                "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
            },
            "annotations": LABELS,
            "startsAt": {"type": "string", "format": "date-time"},
            "endsAt": {"type": "string", "format": "date-time"},
            "generatorURL": {"type": "string", "format": "uri"},
        },
        "additionalProperties": False,
    },
}
"""``postableAlerts`` of Alertmanager's OpenAPI document, version 2."""


def received(kind: AlertKind, sequence: int = 42) -> ReceivedAlert:
    return ReceivedAlert.read(built(kind, judged(sequence=sequence)).value)


def for_alertmanager(alert: ReceivedAlert, **labels: str) -> dict[str, Any]:
    content = alertmanager_content(alert, labels)
    assert (content.path, content.content_type) == ("/api/v2/alerts", "application/json")
    alerts = json.loads(content.body)
    jsonschema.validate(alerts, POSTABLE_ALERTS, format_checker=jsonschema.FormatChecker())
    (only,) = alerts
    return only


@pytest.mark.parametrize("kind", [AlertKind.DETECTED, AlertKind.ONGOING])
def test_alertmanager_holds_an_alert_until_it_is_resolved(kind) -> None:
    alert = received(kind)
    sent = for_alertmanager(alert, severity="page")
    assert sent["labels"] == {
        "alertname": "HarmfulDrift",
        "monitor": "cifar10",
        "segment": "eu",
        "severity": "page",
    }
    starts, ends = (datetime.fromisoformat(sent[key]) for key in ("startsAt", "endsAt"))
    assert starts == alert.since
    assert ends - alert.time == timedelta(days=30)
    assert "1.2e-09" in sent["annotations"]["description"]


def test_a_resolution_ends_the_alert_that_it_resolves() -> None:
    detected = for_alertmanager(received(AlertKind.DETECTED), severity="page")
    alert = received(AlertKind.RESOLVED, sequence=43)
    resolved = for_alertmanager(alert, severity="page")
    assert resolved["labels"] == detected["labels"], "Alertmanager knows an alert by its labels"
    assert datetime.fromisoformat(resolved["endsAt"]) == alert.time
    assert "startsAt" not in resolved


def test_labels_of_the_config_do_not_hide_which_alert_it_is() -> None:
    assert for_alertmanager(received(AlertKind.DETECTED), monitor="mine")["labels"]["monitor"] == "cifar10"


def test_a_webhook_gets_the_cloudevent_as_it_came() -> None:
    published = built()
    content = webhook_content(ReceivedAlert.read(published.value))
    assert json.loads(content.body) == json.loads(published.value)
    assert content.content_type.startswith("application/cloudevents+json")
