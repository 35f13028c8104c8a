"""A monitor's config as the policies that windows and alerts follow."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.alerts.policy import AlertPolicy
from monitor.config import MonitorConfig
from monitor.policies import alert_policy, window_policy
from streams.state.windows import WindowPolicy


def monitor(**sections: Any) -> MonitorConfig:
    given = {
        "name": "cifar10",
        "input": {"topic": "events"},
        "detector": "models/cifar10",
        "window": {"size": 100},
        "dead_letters": {"topic": "rejected"},
        **sections,
    }
    given["alerts"] = {"topic": "alerts", **given.get("alerts", {})}
    return MonitorConfig.model_validate(given)


@pytest.mark.parametrize(
    ("alerts", "expected"),
    [
        ({}, AlertPolicy(1, 1, 1)),
        ({"raise_after": 3}, AlertPolicy(3, 3, 1)),
        ({"raise_after": 3, "raise_within": 5, "resolve_after": 4}, AlertPolicy(3, 5, 4)),
        (
            {"remind_after_seconds": 60, "cooldown_seconds": 0.5},
            AlertPolicy(1, 1, 1, remind_after_ms=60_000, cooldown_ms=500),
        ),
    ],
)
def test_alert_policy(alerts: dict[str, Any], expected: AlertPolicy):
    assert alert_policy(monitor(alerts=alerts)) == expected


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"size": 100}, WindowPolicy(100, 100)),
        ({"size": 100, "hop": 10}, WindowPolicy(100, 10)),
        ({"size": 9, "max_age_seconds": 1.5, "min_size": 3}, WindowPolicy(9, 9, 3, 1500)),
    ],
)
def test_window_policy(window: dict[str, Any], expected: WindowPolicy):
    assert window_policy(monitor(window=window)) == expected
