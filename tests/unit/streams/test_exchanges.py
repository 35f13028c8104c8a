"""Exchanges carried on in step, each as if it were alone."""

from __future__ import annotations

import pytest

from streams.state.exchanges import Exchange, in_step


def ask(*questions: str) -> Exchange[list[str]]:
    answers = []
    for question in questions:
        answers.append((yield question))
    return answers


def test_exchanges_of_different_length_share_round_trips():
    trips: list[list[str]] = []

    def run(calls):
        trips.append(list(calls))
        return [call.upper() for call in calls]

    led_to = in_step([ask("a", "b", "c"), ask(), ask("d"), ask("e", "f")], run)

    assert led_to == [["A", "B", "C"], [], ["D"], ["E", "F"]]
    assert trips == [["a", "d", "e"], ["b", "f"], ["c"]]


def test_nothing_is_run_when_nothing_is_asked():
    assert in_step([ask(), ask()], pytest.fail) == [[], []]
