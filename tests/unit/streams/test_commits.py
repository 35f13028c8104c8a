"""What is committed, and where reading begins."""

from __future__ import annotations

import pytest

from streams.kafka.commits import Mark, Start, counter_tags, start_of

MOST_METADATA_BYTES = 4096
"""Kafka's default of ``offset.metadata.max.bytes``."""


BY_A = Mark(120, 80, counter_tags("a"))


@pytest.mark.parametrize("mark", [Mark(120, 80), BY_A, Mark(120, 80, frozenset())])
def test_mark_survives_its_commit(mark: Mark):
    assert Mark.read(mark.offset, mark.metadata()) == mark


def test_mark_of_as_many_monitors_as_a_config_holds_fits_into_a_commit():
    names = [f"monitor-{number}" for number in range(500)]
    mark = Mark(2**62, 2**62 - 1, counter_tags(names))

    assert len(mark.metadata()) <= MOST_METADATA_BYTES
    assert all(mark.counted_by(name) for name in names)
    assert not mark.counted_by("another")


def test_mark_of_older_software_counts_for_every_monitor():
    mark = Mark.read(120, '{"v":1,"low":80}')

    assert mark is not None
    assert mark.counted_by("any")


@pytest.mark.parametrize(
    "metadata",
    [None, "", "x", "[]", '{"v":1}', '{"v":9,"low":3}', '{"v":1,"low":"3"}', '{"v":1,"low":3,"by":"?"}'],
)
def test_commit_of_another_tool_is_taken_at_its_word(metadata: str | None):
    assert Mark.read(120, metadata) == Mark(120, 120)


def test_no_commit_is_no_mark():
    assert Mark.read(-1001, "") is None


@pytest.mark.parametrize(
    ("mark", "counted", "expected"),
    [
        pytest.param(None, {"a": None}, Start(7), id="nothing known: as auto.offset.reset says"),
        pytest.param(None, {"a": 90}, Start(7), id="counted but never committed: skipped on reading"),
        pytest.param(Mark(120, 80), {"a": 120}, Start(120), id="nothing happened"),
        pytest.param(
            Mark(120, 80), {"a": 150}, Start(120), id="counted after the last commit: skipped on reading"
        ),
        pytest.param(Mark(120, 80), {"a": None}, Start(80, rebuilds=True), id="Redis lost everything"),
        pytest.param(
            Mark(120, 80), {"a": 100}, Start(100, rebuilds=True), id="Redis went back to a snapshot"
        ),
        pytest.param(
            Mark(120, 80),
            {"a": 120, "b": 110},
            Start(110, rebuilds=True),
            id="the monitor that is behind decides",
        ),
        pytest.param(Mark(9, 2), {"a": None}, Start(5, missing=3, rebuilds=True), id="retention was shorter"),
        pytest.param(Mark(500, 480), {"a": 500}, Start(5, recreated=True), id="the topic was created anew"),
        pytest.param(
            BY_A,
            {"a": 120, "new": None},
            Start(120, joining={"new": None}),
            id="a new monitor begins at the commit and rewinds nobody",
        ),
        pytest.param(
            BY_A,
            {"a": 130, "back": 30},
            Start(120, joining={"back": 30}),
            id="a monitor that was away does not rewind the others",
        ),
        pytest.param(
            BY_A,
            {"a": None, "new": None},
            Start(80, rebuilds=True, joining={"new": None}),
            id="Redis lost everything while a monitor was added",
        ),
        pytest.param(
            BY_A,
            {"a": 110, "new": 190},
            Start(110, rebuilds=True, joining={"new": 190}),
            id="a monitor that was added after the last commit skips what it counted",
        ),
        pytest.param(
            BY_A,
            {"a": 120, "back": 300},
            Start(120, joining={"back": 300}),
            id="what an absent monitor counted of a former topic says nothing of this one",
        ),
    ],
)
def test_start(mark: Mark | None, counted: dict[str, int | None], expected: Start):
    assert start_of(mark, counted, log_start=5, log_end=200, default=7) == expected
