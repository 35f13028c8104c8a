"""Alerts as CloudEvents: what subscribers of the alert topic receive.

The JSON Schema ``monitor/schemas/alert.schema.json`` is a promise to subscribers; a change that it does not
allow needs a new event type version.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from monitor.alerts.policy import AlertKind, DriftState
from monitor.verdicts.verdict import JudgedWindow

CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
"""Kafka header ``content-type`` of a CloudEvent in structured mode (CloudEvents Kafka binding 1.0.2, 3.3)."""

EVENT_TYPES = {kind: f"drift-monitor.drift.{kind.value}.v1" for kind in AlertKind}


@dataclass(frozen=True)
class AlertSource:
    """What is the same in all alerts of a monitor.

    Attributes
    ----------
    monitor
        Name of the monitor.
    input_topic
        Topic that its events come from.
    test, alternative
        Window test by name, and its alternative.
    reference_size, reference_mean
        Number of scores in the reference, and their mean.
    score_threshold
        Score above which an instance is flagged; None when the detector has none.
    """

    monitor: str
    input_topic: str
    test: str
    alternative: str
    reference_size: int
    reference_mean: float
    score_threshold: float | None


@dataclass(frozen=True)
class Alert:
    """A record for the alert topic."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes | None]]


def build_alert(
    source: AlertSource, judged: JudgedWindow, kind: AlertKind, state: DriftState, since_ms: int, now_ms: int
) -> Alert:
    """Describe a change of state as a CloudEvent.

    Parameters
    ----------
    source
        The monitor.
    judged
        The window that brought the change about.
    kind
        What the alert reports.
    state
        The state after the change.
    since_ms
        When that state was entered, milliseconds since 1970.
    now_ms
        The time, milliseconds since 1970.
    """
    window, verdict = judged.window, judged.verdict
    topic = source.input_topic
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": alert_id(source.monitor, judged, kind),
        "source": f"/monitors/{source.monitor}",
        "subject": window.segment,
        "type": EVENT_TYPES[kind],
        "time": rfc3339(now_ms),
        "datacontenttype": "application/json",
        "data": {
            "monitor": source.monitor,
            "segment": window.segment,
            "state": state.value,
            "since": rfc3339(since_ms),
            "window": {
                "sequence": verdict.sequence,
                "size": verdict.size,
                "start_time": rfc3339(verdict.start_ms),
                "end_time": rfc3339(verdict.end_ms),
                "offsets": {topic: {str(p): list(span) for p, span in sorted(verdict.offsets.items())}},
            },
            "test": {
                "name": source.test,
                "alternative": source.alternative,
                "statistic": verdict.statistic,
                "p_value": verdict.p_value,
                "threshold": verdict.threshold,
            },
            "reference": {
                "version": verdict.reference,
                "size": source.reference_size,
                "mean": source.reference_mean,
            },
            "scores": {
                "mean": verdict.mean,
                "max": verdict.max,
                "threshold": source.score_threshold,
                "flagged_fraction": verdict.flagged_fraction,
            },
            "examples": [
                {"id": e.id, "topic": topic, "partition": e.partition, "offset": e.offset, "score": e.score}
                for e in judged.examples
            ],
        },
    }
    return Alert(
        key=f"{source.monitor}/{window.segment}".encode(),
        value=json.dumps(event).encode(),
        headers=[("content-type", CONTENT_TYPE.encode())],
    )


def alert_id(monitor: str, judged: JudgedWindow, kind: AlertKind) -> str:
    """Derive the id of an alert from what it is about, so that a repeat has the id of the original.

    It is made of the monitor, the segment, the reference, the offsets that the window covers and the kind of
    alert; not of the window's sequence, which starts over when Redis has lost its data.
    """
    offsets = sorted((p, *span) for p, span in judged.verdict.offsets.items())
    facts = [monitor, judged.window.segment, judged.verdict.reference, offsets, kind.value]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def rfc3339(time_ms: int) -> str:
    """Write a time in milliseconds since 1970 as RFC 3339 in UTC."""
    moment = datetime.fromtimestamp(time_ms / 1000, tz=timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
