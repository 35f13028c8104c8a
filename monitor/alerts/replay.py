"""The alerts behind a history of verdicts, found by applying the alert policy to it once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState, DriftState, step
from monitor.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Moment:
    """A segment right after one of its verdicts.

    Attributes
    ----------
    state
        Where it stood.
    alert
        The alert that the verdict raised, if any.
    """

    state: DriftState
    alert: AlertKind | None


def replay(policy: AlertPolicy, verdicts: Sequence[Verdict], stored: AlertState) -> list[Moment]:
    """Return where a segment stood after each of its verdicts.

    Parameters
    ----------
    policy
        The alert policy of the config.
    verdicts
        Verdicts of the segment, oldest first; the oldest ones may be missing.
    stored
        Where the segment stands after the last of them.

    Notes
    -----
    Older verdicts are dropped, so where the segment stood before the first one has to be tried: the beginning
    from which the policy leads to what is stored is right, or, where several do, wrong about the first few
    verdicts at most. When none does, since the policy was changed on
    the way, what is stored still holds from the time at which that state was entered.
    """
    if not verdicts:
        return []
    beginnings = [AlertState(DriftState.NORMAL)]
    if verdicts[0].sequence > 1:
        # Without the time of the last reminder, the next one is taken to be a full period away.
        first_ms = verdicts[0].tested_ms
        beginnings.append(AlertState(DriftState.DRIFT, alerted_ms=first_ms))
    played = [_play(policy, verdicts, beginning) for beginning in beginnings]
    for moments, end in played:
        entered_before = stored.since_ms < verdicts[0].tested_ms and end.since_ms == 0
        if end.state is stored.state and (end.since_ms == stored.since_ms or entered_before):
            return moments
    return _overruled(played[0][0], verdicts, stored)


def _play(
    policy: AlertPolicy, verdicts: Sequence[Verdict], state: AlertState
) -> tuple[list[Moment], AlertState]:
    moments = []
    for verdict in verdicts:
        state, alert = step(policy, state, verdict.drift, verdict.tested_ms)
        moments.append(Moment(state.state, alert))
    return moments, state


def _overruled(moments: Sequence[Moment], verdicts: Sequence[Verdict], stored: AlertState) -> list[Moment]:
    return [
        Moment(stored.state, None)
        if verdict.tested_ms > stored.since_ms
        else _entering(stored)
        if verdict.tested_ms == stored.since_ms
        else moment
        for moment, verdict in zip(moments, verdicts, strict=True)
    ]


def _entering(stored: AlertState) -> Moment:
    return Moment(stored.state, AlertKind.DETECTED if stored.state is DriftState.DRIFT else None)
