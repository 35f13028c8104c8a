"""Verdicts are applied in window order and settled when their alerts are delivered."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState, DriftState
from monitor.verdicts.ledger import Ledger
from monitor.verdicts.standing import Standing
from monitor.verdicts.verdict import JudgedWindow, Verdict
from streams.errors import StateError
from streams.state.windows import ClosedWindow, Pane


@dataclass
class Sent:
    """An alert, delivered when told so."""

    sequence: int
    kind: AlertKind
    delivered: bool = False


@dataclass
class Outbox:
    """Alerts that a ledger has published."""

    sent: list[Sent] = field(default_factory=list)

    def publish(self, judged: JudgedWindow, kind: AlertKind, state: AlertState) -> Sent:
        self.sent.append(Sent(judged.verdict.sequence, kind))
        return self.sent[-1]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def ledger(outbox: Outbox) -> Ledger:
    return Ledger(AlertPolicy(2, 2, 1), outbox.publish)


def judged(sequence: int, drift: bool = False, segment: str = "all") -> JudgedWindow:
    pane = Pane(2, 0, 1, {0: (2 * sequence, 2 * sequence + 1)}, ())
    verdict = Verdict(
        sequence,
        2,
        0,
        1,
        pane.offsets,
        0.5,
        0.001 if drift else 0.5,
        0.01,
        drift,
        "sha256:0",
        1,
        2,
        0.5,
        sequence,
    )
    return JudgedWindow(
        ClosedWindow(segment, sequence, pane, {0: 2 * sequence + 2}, np.zeros(2, np.float32)), verdict
    )


def stored(settlement) -> bytes:
    """What Redis stores of a settlement."""
    return settlement.standing


def test_clean_verdicts_are_settled_at_once(ledger: Ledger, outbox: Outbox):
    ledger.enter([judged(1), judged(2)])

    (settlement,) = ledger.settlements()
    assert [window.sequence for window in settlement.windows] == [1, 2]
    assert (settlement.segment, settlement.after, outbox.sent) == ("all", 0, [])
    ledger.settled([settlement], {})
    assert (ledger.settlements(), ledger.unsettled()) == ([], 0)


def test_verdict_waits_for_the_one_before_it(ledger: Ledger, outbox: Outbox):
    ledger.enter([judged(2, drift=True)])
    assert (ledger.settlements(), ledger.waiting(), outbox.sent) == ([], ["all"], [])

    ledger.enter([judged(1, drift=True)])

    assert [(alert.sequence, alert.kind) for alert in outbox.sent] == [(2, AlertKind.DETECTED)]
    assert ledger.waiting() == []


def test_verdict_goes_on_from_what_another_worker_settled(ledger: Ledger, outbox: Outbox):
    other = Ledger(AlertPolicy(2, 2, 1), Outbox().publish)
    other.enter([judged(1, drift=True)])
    ledger.enter([judged(2, drift=True)])

    ledger.learn({"all": stored(other.settlements()[0])})

    assert [alert.kind for alert in outbox.sent] == [AlertKind.DETECTED]
    outbox.sent[0].delivered = True
    assert ledger.settlements()[0].after == 1


def test_settlement_waits_for_the_delivery_of_its_alert(ledger: Ledger, outbox: Outbox):
    ledger.enter([judged(1), judged(2, drift=True), judged(3, drift=True)])
    (first,) = ledger.settlements()
    assert [window.sequence for window in first.windows] == [1, 2]
    ledger.settled([first], {})
    assert (ledger.settlements(), ledger.unsettled()) == ([], 1)

    outbox.sent[0].delivered = True

    assert [window.sequence for window in ledger.settlements()[0].windows] == [3]


def test_settlement_waits_until_the_standing_is_written_down(outbox: Outbox):
    announced: list[tuple[str, Standing, Sent]] = []

    def announce(segment: str, standing: Standing) -> Sent:
        announced.append((segment, standing, Sent(standing.sequence, AlertKind.ONGOING)))
        return announced[-1][2]

    ledger = Ledger(AlertPolicy(), outbox.publish, announce)
    ledger.enter([judged(1)])
    assert ledger.settlements() == []
    ledger.enter([judged(2)])
    assert ledger.settlements() == []
    announced[0][2].delivered = True

    (settlement,) = ledger.settlements()

    assert [(segment, standing.sequence) for segment, standing, _ in announced] == [("all", 1)]
    assert ([window.sequence for window in settlement.windows], settlement.after) == ([1], 0)
    assert Standing.decode(settlement.standing) == announced[0][1]


def test_refused_settlement_starts_over_from_what_is_stored(ledger: Ledger, outbox: Outbox):
    ledger.enter([judged(1, drift=True), judged(2)])
    ours = ledger.settlements()
    other = Ledger(AlertPolicy(2, 2, 1), Outbox().publish)
    other.enter([judged(1, drift=True)])

    ledger.settled(ours, {"all": stored(other.settlements()[0])})

    (again,) = ledger.settlements()
    assert ([window.sequence for window in again.windows], again.after) == ([2], 1)
    ledger.settled([again], {"all": stored(again)})
    assert ledger.unsettled() == 0


def test_segments_do_not_wait_for_each_other(ledger: Ledger):
    ledger.enter([judged(2, segment="slow"), judged(1, segment="fast")])

    assert [settlement.segment for settlement in ledger.settlements()] == ["fast"]


def test_window_entered_twice_counts_once(ledger: Ledger):
    ledger.enter([judged(1), judged(1)])
    ledger.enter([judged(1)])

    assert [len(settlement.windows) for settlement in ledger.settlements()] == [1]


def test_stored_state_is_read_back():
    standing = Standing(12, AlertState(DriftState.DRIFT, 5, (False,), 5, 0), {0: 7, 3: 9})

    assert Standing.decode(None) == Standing()
    assert Standing.decode(standing.encode()) == standing


@pytest.mark.parametrize("raw", [b"", b"1", b"1 []", b"x [[],{}]", b'1 [["drift"],{}]'])
def test_unreadable_standing_is_an_error_that_shows_it(raw: bytes):
    with pytest.raises(StateError, match="cannot be read"):
        Standing.decode(raw)


def test_frontier_keeps_partitions_that_later_windows_do_not_hold(ledger: Ledger):
    first = judged(1)
    first = first._replace(window=first.window._replace(frontier={0: 4, 1: 9}))
    ledger.enter([first, judged(2)])

    assert Standing.decode(ledger.settlements()[0].standing).frontier == {0: 6, 1: 9}
