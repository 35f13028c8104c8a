"""What is committed, and where reading begins."""

from __future__ import annotations

import pytest

from streams.kafka.commits import Mark, Start, start_of


def test_mark_survives_its_commit():
    mark = Mark(120, 80)

    assert Mark.read(mark.offset, mark.metadata()) == mark


@pytest.mark.parametrize("metadata", [None, "", "x", "[]", '{"v":1}', '{"v":9,"low":3}', '{"v":1,"low":"3"}'])
def test_commit_of_another_tool_is_taken_at_its_word(metadata: str | None):
    assert Mark.read(120, metadata) == Mark(120, 120)


def test_no_commit_is_no_mark():
    assert Mark.read(-1001, "") is None


@pytest.mark.parametrize(
    ("mark", "counted", "expected"),
    [
        pytest.param(None, [None], Start(7), id="nothing known: as auto.offset.reset says"),
        pytest.param(None, [90], Start(7), id="counted but never committed: skipped on reading"),
        pytest.param(Mark(120, 80), [120], Start(120), id="nothing happened"),
        pytest.param(
            Mark(120, 80), [150], Start(120), id="counted after the last commit: skipped on reading"
        ),
        pytest.param(Mark(120, 80), [None], Start(80, rebuilds=True), id="Redis lost everything"),
        pytest.param(Mark(120, 80), [100], Start(100, rebuilds=True), id="Redis went back to a snapshot"),
        pytest.param(
            Mark(120, 80), [120, 110], Start(110, rebuilds=True), id="the monitor that is behind decides"
        ),
        pytest.param(Mark(9, 2), [None], Start(5, missing=3, rebuilds=True), id="retention was shorter"),
        pytest.param(Mark(500, 480), [500], Start(5, recreated=True), id="the topic was created anew"),
    ],
)
def test_start(mark: Mark | None, counted: list[int | None], expected: Start):
    assert start_of(mark, counted, log_start=5, log_end=200, default=7) == expected
