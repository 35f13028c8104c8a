"""When alerts are raised and resolved."""

from __future__ import annotations

import pytest

from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState, DriftState, step

D, R, ON = AlertKind.DETECTED, AlertKind.RESOLVED, AlertKind.ONGOING


def alerts(policy: AlertPolicy, verdicts: str, every_ms: int = 1000) -> dict[int, AlertKind]:
    """Feed verdicts ('x' drifted, '.' clean), one each ``every_ms``; alerts by the number of the verdict."""
    state, raised = AlertState(), {}
    for number, mark in enumerate(verdicts, start=1):
        state, kind = step(policy, AlertState.from_json(state.to_json()), mark == "x", number * every_ms)
        if kind is not None:
            raised[number] = kind
    return raised


@pytest.mark.parametrize(
    ("policy", "verdicts", "expected"),
    [
        (AlertPolicy(), "..x..", {3: D, 4: R}),
        (AlertPolicy(2, 2, 3), ".x.xx.x...x", {5: D, 10: R}),
        (AlertPolicy(3, 5, 1), "x.x.x", {5: D}),
        (AlertPolicy(3, 5, 1), "x..x.x", {}),
        (AlertPolicy(2, 2, 2, remind_after_ms=3000), "xxxxxxxxx..", {2: D, 5: ON, 8: ON, 11: R}),
        (AlertPolicy(1, 1, 1, cooldown_ms=3000), "x.xxxxx", {1: D, 2: R, 5: D}),
    ],
)
def test_alerts(policy: AlertPolicy, verdicts: str, expected: dict[int, AlertKind]):
    assert alerts(policy, verdicts) == expected


def test_clock_that_is_set_back_neither_silences_alerts_nor_holds_reminders_back():
    hour_ms = 3_600_000
    policy = AlertPolicy(1, 1, 1, remind_after_ms=3000, cooldown_ms=3000)
    raised, _ = step(policy, AlertState(), True, 2 * hour_ms)
    assert step(policy, raised, True, hour_ms)[1] is ON
    resolved, _ = step(policy, raised, False, 2 * hour_ms)

    assert step(policy, resolved, True, 2 * hour_ms + 2000)[1] is None
    assert step(policy, resolved, True, hour_ms)[1] is D


def test_states_on_the_way():
    policy = AlertPolicy(2, 2, 1)
    pending, _ = step(policy, AlertState(), True, 1000)
    drift, _ = step(policy, pending, True, 2000)
    still, _ = step(policy, drift, True, 3000)
    normal, _ = step(policy, still, False, 4000)

    assert [(s.state, s.since_ms) for s in (pending, drift, still, normal)] == [
        (DriftState.PENDING, 1000),
        (DriftState.DRIFT, 2000),
        (DriftState.DRIFT, 2000),
        (DriftState.NORMAL, 4000),
    ]


@pytest.mark.parametrize("arguments", [(0, 1, 1), (3, 2, 1), (1, 1, 0)])
def test_impossible_policies_are_refused(arguments: tuple[int, int, int]):
    with pytest.raises(ValueError, match="must be"):
        AlertPolicy(*arguments)
