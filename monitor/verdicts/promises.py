"""What a monitor promises about false alarms, as its test and the rule by which windows have drifted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy.typing as npt

from detectors.cusum.rank_cusum_promise import rank_cusum_threshold
from detectors.promises.online_fdr import OnlineFdr
from detectors.promises.promises import (
    ENOUGH_WINDOWS_IN_REFERENCE,
    Threshold,
    expected_run_time_threshold,
    reference_size_warning,
)
from detectors.window_tests import WindowTest
from monitor.config import DEFAULT_P_VAL, MonitorConfig
from monitor.plugins import any_window_test
from monitor.verdicts.tied_scores import TieOrder

Recall: TypeAlias = Callable[[str, Callable[[], Threshold]], Threshold]
"""Returns the threshold that keeps a promise, from memory or by working it out."""

UNDECIDED = Threshold(p_value=0.0, level=0.0)
"""No window drifts by its own p-value alone: what `monitor.verdicts.discoveries` decides is left to it."""


def monitor_test(config: MonitorConfig, reference: npt.ArrayLike) -> tuple[WindowTest, TieOrder | None]:
    """Return a monitor's window test, and how ties are broken before it; None where the test is left to it.

    Parameters
    ----------
    config
        The monitor.
    reference
        Scores of the reference, shape (n,).
    """
    test = config.test
    if not test.breaks_ties:
        return any_window_test(test.name, reference, test.alternative), None
    ties = TieOrder(reference, config.window)
    return any_window_test(test.name, ties.reference, test.alternative), ties


def threshold_rule(
    config: MonitorConfig, reference_size: int, recall: Recall = lambda _, work_out: work_out()
) -> Callable[[int], Threshold]:
    """Return the threshold by window size, as a monitor's ``test`` section promises it.

    Parameters
    ----------
    config
        The monitor. With ``test.fdr`` the threshold of a window depends on all windows before it, so the
        rule is ``UNDECIDED``.
    reference_size
        Number of scores in the reference.
    recall
        Where thresholds are looked up that take seconds to work out, such as `KnownThresholds.recall`.
    """
    test, window = config.test, config.window
    if test.fdr is not None:
        return lambda _: UNDECIDED
    if test.expected_run_time is None:
        return _always(test.p_val or DEFAULT_P_VAL)
    run_time = test.expected_run_time
    full = recall(
        f"{test.name} {test.alternative}, reference {reference_size}, window {window.size},"
        f" hop {window.hop or window.size}, run-time {run_time!r}, confidence {test.confidence!r}",
        lambda: _run_time_threshold(config, run_time, reference_size),
    )
    # Windows that close for their age may have any size; a threshold of its own for each would take seconds.
    partial = _always(full.level)
    return lambda size: full if size == window.size else partial(size)


def _run_time_threshold(config: MonitorConfig, windows: float, reference_size: int) -> Threshold:
    test, window = config.test, config.window
    if test.name == "rank_cusum":
        return rank_cusum_threshold(windows, reference_size, window.size, test.alternative, hop=window.hop)
    return expected_run_time_threshold(
        windows,
        reference_size,
        window.size,
        test.alternative,
        hop=window.hop,
        confidence=test.confidence,
    )


def luck_of_the_reference(config: MonitorConfig, reference_size: int) -> str | None:
    """Say by how much false alarms depend on the reference that a monitor happens to have.

    Parameters
    ----------
    config
        The monitor.
    reference_size
        Number of scores in the reference.

    Returns
    -------
    str or None
        Sentences; None if the reference is large enough for its windows, or its luck is allowed for by a
        ``confidence``.
    """
    test, m = config.test, config.window.size
    if test.confidence is not None or reference_size >= ENOUGH_WINDOWS_IN_REFERENCE * m:
        return None
    if test.name != "ks_2samp":
        return (
            f"For windows of {m} it should have {ENOUGH_WINDOWS_IN_REFERENCE * m} or more: what chance put"
            " into a smaller one moves every verdict against it."
        )
    level = 1 / test.expected_run_time if test.expected_run_time is not None else test.p_val
    if test.fdr is not None:
        procedure = OnlineFdr(test.fdr)
        level = procedure.threshold(procedure.start())
    return reference_size_warning(reference_size, m, level or DEFAULT_P_VAL, test.alternative)


def _always(level: float) -> Callable[[int], Threshold]:
    fixed = Threshold(p_value=level, level=level)
    return lambda _: fixed
