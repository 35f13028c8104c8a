"""What is sent to a receiver for an alert."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from monitor.alerts.policy import AlertKind
from monitor.alerts.received import ReceivedAlert

HELD_FOR = timedelta(days=30)
"""How long Alertmanager keeps an alert that nothing resolves. Without an end of ours it would give it five
minutes (``resolve_timeout``)."""
ALERTMANAGER_PATH = "/api/v2/alerts"
CLOUDEVENT = "application/cloudevents+json; charset=UTF-8"
"""Structured mode of the CloudEvents HTTP binding 1.0.2."""


@dataclass(frozen=True)
class Content:
    """What is posted: path behind the receiver's address, content type, and body."""

    path: str
    content_type: str
    body: bytes


def webhook_content(alert: ReceivedAlert) -> Content:
    """Hand the CloudEvent on as it came."""
    return Content("", CLOUDEVENT, json.dumps(alert.event).encode())


def alertmanager_content(alert: ReceivedAlert, labels: Mapping[str, str]) -> Content:
    """Say it in the words of Alertmanager's API, version 2.

    Alertmanager tells alerts apart by their labels alone, so these name the monitor and the segment; what
    differs between two alerts of one drift is in the annotations.

    Parameters
    ----------
    alert
        The alert.
    labels
        Labels to add; those of drift-monitor itself win.
    """
    window, test = alert.window, alert.test
    drift: dict[str, Any] = {
        "labels": {
            **labels,
            "alertname": "HarmfulDrift",
            "monitor": alert.monitor,
            "segment": alert.segment,
        },
        "annotations": {
            "summary": f"The inputs of {alert.monitor} (segment {alert.segment}) have drifted harmfully.",
            "description": (
                f"Window {window.sequence} of {window.size} scores: p-value {test.p_value:.3g} against"
                f" {test.threshold:g} ({test.name}, {test.alternative}); mean score {alert.scores.mean:.3g},"
                f" of the reference {alert.reference.mean:.3g}."
            ),
            "alert_id": alert.id,
        },
    }
    if alert.kind is AlertKind.RESOLVED:
        # Without a start: Alertmanager keeps the one that it knows.
        drift["endsAt"] = alert.time.isoformat()
    else:
        drift["startsAt"] = alert.since.isoformat()
        drift["endsAt"] = (alert.time + HELD_FOR).isoformat()
    return Content(ALERTMANAGER_PATH, "application/json", json.dumps([drift]).encode())
