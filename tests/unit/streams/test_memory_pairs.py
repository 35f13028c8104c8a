"""Halves of recorded events find each other in memory as they do in Redis."""

from __future__ import annotations

from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import Halves, Meetings

COMPLETE, AGAIN = "", "again"


def brought(*halves: tuple[str, str, str]) -> Halves:
    contents = [content(*half) for half in halves]
    events, kinds, places = zip(*halves, strict=True)
    return Halves(events, kinds, places, [*map(len, contents)], b"".join(contents))


def content(event: str, kind: str, place: str) -> bytes:
    return f"{kind} of {event} at {place}".encode()


def test_the_second_half_gets_the_first_and_any_other_is_told() -> None:
    pairs = MemoryPairs()
    halves = [
        ("a", "request", "0:1"),
        ("b", "response", "0:2"),
        ("a", "request", "0:1"),
        ("a", "response", "0:3"),
        ("a", "response", "0:4"),
        ("a", "request", "0:5"),
        ("b", "request", "0:6"),
    ]
    answers = pairs.bring("one", Meetings(), brought(*halves), 1000, 1000)
    assert {**dict.fromkeys(answers.completing, COMPLETE), **answers.refused} == {
        3: COMPLETE,
        4: AGAIN,
        5: AGAIN,
        6: COMPLETE,
    }
    assert answers.completing[3] == content(*halves[0])
    assert answers.completing[6] == content(*halves[1])


def test_groups_are_strangers() -> None:
    pairs = MemoryPairs()
    pairs.bring("one", Meetings(), brought(("a", "request", "0:1")), 1000, 1000)
    assert pairs.bring("other", Meetings(), brought(("a", "response", "0:2")), 1000, 1000) == ({}, {}, {})


def test_one_of_the_requests_that_were_sent_again_counts_alone() -> None:
    pairs = MemoryPairs()
    halves = [
        ("a", "request", "0:1"),
        ("a", "returned", "0:2"),
        ("a", "returned", "0:3"),
        ("a", "returned", "0:2"),
        ("a", "response", "0:4"),
        ("b", "request", "0:5"),
        ("b", "response", "0:6"),
        ("b", "returned", "0:7"),
        ("c", "response", "0:8"),
        ("c", "returned", "0:9"),
    ]
    answers = pairs.bring("one", Meetings(), brought(*halves), 1000, 1000)
    assert {**dict.fromkeys(answers.completing, COMPLETE), **answers.refused} == {
        1: COMPLETE,
        2: AGAIN,
        3: COMPLETE,
        4: "late",
        6: COMPLETE,
        7: AGAIN,
        9: COMPLETE,
    }
    assert answers.completing[1] == b""
    assert answers.completing[9] == content(*halves[8])
