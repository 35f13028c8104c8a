"""Verdicts on closed windows: what is promised of them, tied scores or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from monitor.config import MonitorConfig
from monitor.verdicts.promises import monitor_test, threshold_rule
from monitor.verdicts.verdict import Verdict, judge
from streams.state.windows import ClosedWindow, Pane

REFERENCE, WINDOW, RUN_TIME = 200, 20, 20
ZEROS = 0.6

Scores = npt.NDArray[np.float32]


def monitor(test: dict[str, Any], **window: Any) -> MonitorConfig:
    return MonitorConfig.model_validate(
        {
            "name": "m",
            "input": {"topic": "events"},
            "detector": "models/m",
            "window": {"size": WINDOW, **window},
            "test": test,
            "alerts": {"topic": "alerts"},
            "dead_letters": {"topic": "rejected"},
        }
    )


def closed(scores: Scores, sequence: int, first: int, segment: str = "all") -> ClosedWindow:
    """Window of a segment that alone fills partition 0 from an offset on."""
    last = first + len(scores) - 1
    return ClosedWindow(
        segment, sequence, Pane(len(scores), first, last, {0: (first, last)}, ()), {0: last + 1}, scores
    )


def tumbling(scores: Scores, segment: str = "all") -> list[ClosedWindow]:
    """Windows of scores of shape (k, m)."""
    return [closed(row, i + 1, i * len(row), segment) for i, row in enumerate(scores)]


def sliding(stream: Scores, hop: int, segment: str = "all") -> list[ClosedWindow]:
    """Windows of a stream of scores."""
    starts = range(0, len(stream) - WINDOW + 1, hop)
    return [closed(stream[start : start + WINDOW], i + 1, start, segment) for i, start in enumerate(starts)]


def verdicts(config: MonitorConfig, reference: Scores, windows: list[ClosedWindow]) -> list[Verdict]:
    test, ties = monitor_test(config, reference)
    judged = judge(
        windows,
        test,
        threshold_of=threshold_rule(config, len(reference)),
        score_threshold=None,
        reference="sha256:0",
        now_ms=0,
        ties=ties,
    )
    return [one.verdict for one in judged]


def harmless(rng: np.random.Generator, *shape: int) -> Scores:
    """Scores of a student that agrees with its teacher exactly on three instances of five."""
    scores = rng.exponential(size=shape)
    return np.where(rng.random(shape) < ZEROS, 0.0, scores).astype(np.float32)


def drifts(
    config: MonitorConfig, references: int, windows: int, *, ties: bool = True
) -> npt.NDArray[np.bool_]:
    """Which of k clean windows drift against each of r references, shape (r, k)."""
    rng = np.random.default_rng(5)
    rows = []
    for run in range(references):
        reference = harmless(rng, REFERENCE)
        stream = harmless(rng, windows, WINDOW)
        if ties:
            found = verdicts(config, reference, tumbling(stream, f"segment {run}"))
        else:
            test, _ = monitor_test(monitor({"p_val": 0.5}), reference)
            found = [
                one.verdict
                for one in judge(
                    tumbling(stream, f"segment {run}"),
                    test,
                    threshold_of=threshold_rule(config, REFERENCE),
                    score_threshold=None,
                    reference="sha256:0",
                    now_ms=0,
                )
            ]
        rows.append([verdict.drift for verdict in found])
    return np.array(rows)


def test_the_run_time_is_kept_when_most_scores_are_tied() -> None:
    config = monitor({"expected_run_time": RUN_TIME})

    found = drifts(config, references=500, windows=60)

    rates = found.mean(axis=1)
    error = rates.std() / np.sqrt(len(rates))
    assert rates.mean() == pytest.approx(1 / RUN_TIME, abs=3 * error)
    assert error < 0.06 / RUN_TIME


def test_without_an_order_among_ties_false_alarms_are_rarer_than_promised() -> None:
    config = monitor({"expected_run_time": RUN_TIME})

    assert drifts(config, references=500, windows=60, ties=False).mean() < 0.7 / RUN_TIME


def test_the_run_time_of_sliding_windows_is_kept_when_most_scores_are_tied() -> None:
    hop, windows, references = 5, 100, 600
    quiet = WINDOW // hop - 1
    config = monitor({"expected_run_time": RUN_TIME}, hop=hop)
    rng = np.random.default_rng(6)
    alarms = np.zeros(references)
    for run in range(references):
        reference = harmless(rng, REFERENCE)
        stream = harmless(rng, WINDOW + hop * (windows + quiet - 1))
        found = verdicts(config, reference, sliding(stream, hop, f"segment {run}"))
        drifted = np.array([verdict.drift for verdict in found])
        before = np.lib.stride_tricks.sliding_window_view(drifted, quiet)[:-1].any(axis=1)
        alarms[run] = (drifted[quiet:] & ~before).sum() / windows

    error = alarms.std() / np.sqrt(references)
    # The share of drifted windows that begin an alarm is simulated, and known to 3 %.
    assert alarms.mean() == pytest.approx(1 / RUN_TIME, abs=3 * error + 0.03 / RUN_TIME)
    assert error < 0.04 / RUN_TIME


@pytest.mark.parametrize("window", [{}, {"hop": 5}])
def test_judging_a_window_again_gives_the_same_verdict_whatever_is_judged_with_it(
    window: dict[str, int],
) -> None:
    rng = np.random.default_rng(7)
    config = monitor({"expected_run_time": RUN_TIME}, **window)
    reference, windows = harmless(rng, REFERENCE), sliding(harmless(rng, 400), hop=window.get("hop", WINDOW))

    together = verdicts(config, reference, windows)

    assert [verdicts(config, reference, [one])[0] for one in reversed(windows)] == together[::-1]
    assert len({verdict.p_value for verdict in together}) > 5


def test_a_rebuilt_tumbling_window_gets_the_verdict_it_had_under_another_number() -> None:
    rng = np.random.default_rng(8)
    config = monitor({"expected_run_time": RUN_TIME})
    reference, scores = harmless(rng, REFERENCE), harmless(rng, WINDOW)

    (first,) = verdicts(config, reference, [closed(scores, 9, 180)])
    (rebuilt,) = verdicts(config, reference, [closed(scores, 1, 180)])

    assert (first.p_value, first.drift) == (rebuilt.p_value, rebuilt.drift)


def test_a_plain_level_tests_tied_scores_as_they_are() -> None:
    rng = np.random.default_rng(9)
    config = monitor({"p_val": 0.05})
    reference, scores = harmless(rng, REFERENCE), harmless(rng, WINDOW)

    one, other = verdicts(config, reference, [closed(scores, 1, 0), closed(scores, 2, WINDOW)])

    assert one.p_value == other.p_value


def test_scores_are_reported_as_they_are_when_ties_are_broken() -> None:
    rng = np.random.default_rng(10)
    scores = harmless(rng, WINDOW)

    (verdict,) = verdicts(
        monitor({"expected_run_time": 50}), harmless(rng, REFERENCE), [closed(scores, 1, 0)]
    )

    assert (verdict.mean, verdict.max) == (pytest.approx(scores.mean()), scores.max())
    assert verdict.threshold < 0.05


@pytest.mark.parametrize("name", ["mannwhitneyu", "cramervonmises_2samp", "anderson_ksamp"])
def test_other_window_tests_find_drift(name: str) -> None:
    rng = np.random.default_rng(11)
    config = monitor({"name": name, "alternative": "two-sided", "p_val": 0.01})
    reference, clean = harmless(rng, REFERENCE), harmless(rng, WINDOW)

    found = verdicts(config, reference, [closed(clean, 1, 0), closed(clean + 2, 2, WINDOW)])

    assert [verdict.drift for verdict in found] == [False, True]
