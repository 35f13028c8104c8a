"""How alarms of overlapping windows cluster, against streams that are simply watched."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import ks_lattice_statistic
from detectors.promises.sliding_windows import level_for_new_alarms, new_alarm_share, overlapping_windows


@pytest.mark.parametrize(
    ("alternative", "hop", "quiet"), [("higher", 2, 9), ("lower", 5, 3), ("two-sided", 20, 2)]
)
def test_share_of_new_alarms_is_what_streams_show(alternative: str, hop: int, quiet: int) -> None:
    rng = np.random.default_rng(0)
    n, m, windows = 200, 20, 200
    statistic = ks_null_law(n, m, alternative == "two-sided").critical_value(0.05)
    alarms = new = 0
    for _ in range(800):
        reference, scores = np.sort(rng.random(n)), rng.random(hop * (windows - 1 + quiet) + m)
        cut = np.sort(np.lib.stride_tricks.sliding_window_view(scores, m)[::hop], axis=1)
        drifted = ks_lattice_statistic(reference, cut, alternative) >= statistic
        before = np.lib.stride_tricks.sliding_window_view(drifted, quiet)[:-1].any(axis=1)
        alarms += drifted[quiet:].sum()
        new += (drifted[quiet:] & ~before).sum()
    share = new_alarm_share(n, m, hop, quiet, statistic, alternative == "two-sided")
    # Three standard errors of the simulation, and more for the streams, whose alarms come in clusters.
    assert share == pytest.approx(new / alarms, abs=0.04)


def test_windows_that_share_scores_overlap() -> None:
    assert [overlapping_windows(100, hop) for hop in (100, 50, 30, 10, 1)] == [0, 1, 3, 9, 99]


def test_tumbling_alarms_are_all_new() -> None:
    assert new_alarm_share(100, 20, 20, 0, 50, two_sided=False) == 1.0


@pytest.mark.parametrize("hop", [1, 2, 10])
def test_the_search_for_the_level_ends_for_any_run_time(hop: int) -> None:
    quiet = overlapping_windows(20, hop)
    levels = [level_for_new_alarms(windows, 300, 20, hop, quiet, False) for windows in (200, 2000, 1e6, 1e9)]
    assert (np.diff(levels) < 0).all()
    for windows, level in zip((200, 2000, 1e6, 1e9), levels, strict=True):
        assert level >= 0.95 / windows
