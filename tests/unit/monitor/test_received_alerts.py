"""Alerts as a subscriber reads them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime, timezone

import pytest

from monitor.alerts import AlertKind, DriftState, ReceivedAlert
from monitor.alerts.subscription import REMEMBERED_ALERTS, KnownAlerts
from tests.sample_alerts import built


def test_every_part_of_an_alert_is_read() -> None:
    published = built()
    event = json.loads(published.value)
    alert = ReceivedAlert.read(published.value)
    assert (alert.id, alert.kind, alert.state) == (event["id"], AlertKind.DETECTED, DriftState.DRIFT)
    assert (alert.monitor, alert.segment) == ("cifar10", "eu")
    assert alert.time == datetime(2026, 11, 20, 12, 0, 0, 123_000, timezone.utc)
    assert alert.since < alert.time
    assert alert.window.start < alert.window.end < alert.time
    assert alert.window.offsets == {"inference-events": {0: (100, 160), 2: (7, 45)}}
    assert vars(alert.test) == event["data"]["test"]
    assert vars(alert.reference) == event["data"]["reference"]
    assert vars(alert.scores) == event["data"]["scores"]
    assert [vars(example) for example in alert.examples] == event["data"]["examples"]
    assert alert.event == event


def test_what_later_versions_add_is_let_pass() -> None:
    event = json.loads(built(AlertKind.RESOLVED).value)
    event["data"]["region"] = event["traceparent"] = "new"
    assert ReceivedAlert.read(json.dumps(event)).kind is AlertKind.RESOLVED


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[]", b"null", b'{"type": 3}', b'{"type": "a.b.c.v1", "specversion": "1.0"}', b"\xff"],
)
def test_what_is_no_alert_is_refused(value) -> None:
    with pytest.raises(ValueError, match="no alert of drift-monitor"):
        ReceivedAlert.read(value)


def test_another_version_is_refused() -> None:
    later = built().value.replace(b"detected.v1", b"detected.v2")
    with pytest.raises(ValueError, match=r"detected\.v2"):
        ReceivedAlert.read(later)


def test_a_repeat_is_known_until_it_is_long_past() -> None:
    known = KnownAlerts()
    assert known.add("first")
    assert not known.add("first")
    for number in range(REMEMBERED_ALERTS):
        assert known.add(str(number))
    assert known.add("first")


def test_a_subscriber_loads_nothing_heavy() -> None:
    code = "import sys; from monitor.alerts import subscribe; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"tensorflow", "keras", "scipy", "pydantic", "redis"} == set()
