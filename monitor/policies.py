"""A monitor's config as the policies that windows and alerts follow; needs no detector to be loaded."""

from __future__ import annotations

from monitor.alerts.policy import AlertPolicy
from monitor.config import MonitorConfig
from streams.state.windows import WindowPolicy


def window_policy(config: MonitorConfig) -> WindowPolicy:
    """Translate a monitor's ``window`` section."""
    window = config.window
    return WindowPolicy(
        size=window.size,
        hop=window.hop or window.size,
        min_size=window.min_size or 1,
        max_age_ms=None if window.max_age_seconds is None else int(window.max_age_seconds * 1000),
    )


def alert_policy(config: MonitorConfig) -> AlertPolicy:
    """Translate a monitor's ``alerts`` section."""
    alerts = config.alerts
    remind, cooldown = alerts.remind_after_seconds, alerts.cooldown_seconds
    return AlertPolicy(
        raise_after=alerts.raise_after,
        raise_within=alerts.raise_within or alerts.raise_after,
        resolve_after=alerts.resolve_after,
        remind_after_ms=None if remind is None else int(remind * 1000),
        cooldown_ms=0 if cooldown is None else int(cooldown * 1000),
    )
