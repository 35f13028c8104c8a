"""From a promised run-time to the threshold of the CUSUM on ranks."""

from __future__ import annotations

from functools import lru_cache

from detectors.arguments import check_number, check_positive_int
from detectors.cusum.rank_cusum_onsets import level_for_onsets
from detectors.errors import InvalidArgumentError
from detectors.promises.promises import Threshold
from detectors.promises.sliding_windows import overlapping_windows
from detectors.promises.window_samples import parse_alternative


def rank_cusum_threshold(
    windows: float, n: int, m: int, alternative: str = "higher", *, hop: int | None = None
) -> Threshold:
    """Threshold of a `RankCusumTest` that raises one false alarm in so many windows, pooled over references.

    Parameters
    ----------
    windows
        Mean number of windows for each false alarm, above 1. A drifted window counts as a false alarm if no
        window that it overlaps drifted before it.
    n, m
        Sizes of reference and window.
    alternative
        As in `RankCusumTest`.
    hop
        Scores between the starts of two windows, at most m; m (tumbling windows) if None.

    Raises
    ------
    InvalidArgumentError
        If an argument is out of range, or alarms cannot begin as often as is wanted.

    Notes
    -----
    The rate is simulated (``detectors.cusum.rank_cusum_onsets``) and met within 10 %. Results are remembered.
    """
    windows = check_number(windows, "windows", 1.0)
    if windows == 1.0:
        raise InvalidArgumentError("windows is 1; it must be above 1, for else every window would alarm.")
    n, m = check_positive_int(n, "n"), check_positive_int(m, "m")
    hop = m if hop is None else check_positive_int(hop, "hop")
    if hop > m:
        raise InvalidArgumentError(f"hop is {hop}; it must be at most the window's size, {m}.")
    two_sided = parse_alternative(alternative, scipy_greater="higher") == "two-sided"
    return _threshold(windows, n, m, hop, two_sided)


@lru_cache(maxsize=256)
def _threshold(windows: float, n: int, m: int, hop: int, two_sided: bool) -> Threshold:
    level = level_for_onsets(windows, n, m, hop, overlapping_windows(m, hop), two_sided)
    return Threshold(level, level)
