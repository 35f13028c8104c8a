"""Halves of recorded events find each other in memory as they do in Redis."""

from __future__ import annotations

from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import Half

COMPLETE, AGAIN = "", "again"


def half(event: str, kind: str, place: str) -> Half:
    return Half(event, kind, place, f"{kind} of {event} at {place}".encode())


def test_the_second_half_gets_the_first_and_any_other_is_told() -> None:
    pairs = MemoryPairs()
    halves = [
        half("a", "request", "0:1"),
        half("b", "response", "0:2"),
        half("a", "request", "0:1"),
        half("a", "response", "0:3"),
        half("a", "response", "0:4"),
        half("a", "request", "0:5"),
        half("b", "request", "0:6"),
    ]
    answers = pairs.bring("one", [], halves, 1000, 1000)[1]
    assert {number: answer.outcome for number, answer in answers.items()} == {
        3: COMPLETE,
        4: AGAIN,
        5: AGAIN,
        6: COMPLETE,
    }
    assert answers[3].other == halves[0].content
    assert answers[6].other == halves[1].content


def test_groups_are_strangers() -> None:
    pairs = MemoryPairs()
    pairs.bring("one", [], [half("a", "request", "0:1")], 1000, 1000)
    assert pairs.bring("other", [], [half("a", "response", "0:2")], 1000, 1000)[1] == {}


def test_one_of_the_requests_that_were_sent_again_counts_alone() -> None:
    pairs = MemoryPairs()
    halves = [
        half("a", "request", "0:1"),
        half("a", "returned", "0:2"),
        half("a", "returned", "0:3"),
        half("a", "returned", "0:2"),
        half("a", "response", "0:4"),
        half("b", "request", "0:5"),
        half("b", "response", "0:6"),
        half("b", "returned", "0:7"),
        half("c", "response", "0:8"),
        half("c", "returned", "0:9"),
    ]
    answers = pairs.bring("one", [], halves, 1000, 1000)[1]
    assert {number: answer.outcome for number, answer in answers.items()} == {
        1: COMPLETE,
        2: AGAIN,
        3: COMPLETE,
        4: "late",
        6: COMPLETE,
        7: AGAIN,
        9: COMPLETE,
    }
    assert answers[1].other == b""
    assert answers[9].other == halves[8].content
