"""From verdicts to alerts: a state machine per monitor and segment, as a pure function.

The states and their delays are those of alert rules in Prometheus: ``raise_after`` plays the part of ``for``,
``resolve_after`` that of ``keep_firing_for``; both count windows instead of seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class DriftState(str, Enum):
    """What is held to be true of a segment."""

    NORMAL = "normal"
    PENDING = "pending"
    """Windows have drifted, but not yet enough of them to raise an alert."""
    DRIFT = "drift"


class AlertKind(str, Enum):
    """What an alert reports."""

    DETECTED = "detected"
    ONGOING = "ongoing"
    """A reminder: drift was detected a while ago and has not been resolved."""
    RESOLVED = "resolved"


@dataclass(frozen=True)
class AlertPolicy:
    """When to raise and when to resolve.

    Attributes
    ----------
    raise_after
        Drifted windows that raise an alert.
    raise_within
        Number of latest windows among which these must be; equal to ``raise_after`` when they must be
        consecutive.
    resolve_after
        Consecutive clean windows that resolve it.
    remind_after_ms
        Time after which an unresolved alert is repeated, in milliseconds; None for no reminders.
    cooldown_ms
        Time after a resolution during which no new alert is raised, in milliseconds.
    """

    raise_after: int = 1
    raise_within: int = 1
    resolve_after: int = 1
    remind_after_ms: int | None = None
    cooldown_ms: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.raise_after <= self.raise_within:
            raise ValueError(
                f"raise_after must be between 1 and raise_within ({self.raise_within}),"
                f" not {self.raise_after}."
            )
        if self.resolve_after < 1:
            raise ValueError(f"resolve_after must be at least 1, not {self.resolve_after}.")


@dataclass(frozen=True)
class AlertState:
    """Where a segment stands.

    Attributes
    ----------
    state
        The state.
    since_ms
        When it was entered, milliseconds since 1970.
    recent
        Latest verdicts that still matter, oldest first: True for a drifted window.
    alerted_ms
        When the last alert of the current drift was raised.
    quiet_until_ms
        Until when no alert is raised after a resolution.
    """

    state: DriftState = DriftState.NORMAL
    since_ms: int = 0
    recent: tuple[bool, ...] = ()
    alerted_ms: int = 0
    quiet_until_ms: int = 0

    def to_json(self) -> list[Any]:
        """Return the state as JSON-ready data."""
        recent = "".join("x" if drifted else "." for drifted in self.recent)
        return [self.state.value, self.since_ms, recent, self.alerted_ms, self.quiet_until_ms]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> AlertState:
        """Read what ``to_json`` returned."""
        state, since_ms, recent, alerted_ms, quiet_until_ms = data
        return cls(
            DriftState(state), since_ms, tuple(mark == "x" for mark in recent), alerted_ms, quiet_until_ms
        )


def step(
    policy: AlertPolicy, state: AlertState, drifted: bool, now_ms: int
) -> tuple[AlertState, AlertKind | None]:
    """Apply one verdict; verdicts of a segment come in window order.

    Parameters
    ----------
    policy
        When to raise and when to resolve.
    state
        Where the segment stood.
    drifted
        The verdict of the next window.
    now_ms
        The time, milliseconds since 1970.

    Returns
    -------
    tuple
        Where the segment stands now, and the alert to publish, if any.
    """
    if state.state is DriftState.DRIFT:
        return _while_drifting(policy, state, drifted, now_ms)
    recent = (*state.recent, drifted)[-policy.raise_within :]
    # No silence begins later than now: one that does was begun before the clock was set back.
    quiet = now_ms < state.quiet_until_ms <= now_ms + policy.cooldown_ms
    if sum(recent) >= policy.raise_after and not quiet:
        return AlertState(DriftState.DRIFT, now_ms, (), now_ms), AlertKind.DETECTED
    entered = DriftState.PENDING if any(recent) else DriftState.NORMAL
    if entered is state.state and recent == state.recent:
        return state, None
    since_ms = state.since_ms if entered is state.state else now_ms
    return replace(state, state=entered, since_ms=since_ms, recent=recent), None


def _while_drifting(
    policy: AlertPolicy, state: AlertState, drifted: bool, now_ms: int
) -> tuple[AlertState, AlertKind | None]:
    recent = () if drifted else (*state.recent, False)
    if len(recent) >= policy.resolve_after:
        quiet_until_ms = now_ms + policy.cooldown_ms
        return AlertState(DriftState.NORMAL, now_ms, (), 0, quiet_until_ms), AlertKind.RESOLVED
    # Either way: an alert that lies so far ahead was raised before the clock was set back.
    remind = policy.remind_after_ms is not None and abs(now_ms - state.alerted_ms) >= policy.remind_after_ms
    if remind:
        return replace(state, recent=recent, alerted_ms=now_ms), AlertKind.ONGOING
    return replace(state, recent=recent), None
