"""What a monitor promises about false alarms, as the rule by which windows of any size have drifted."""

from __future__ import annotations

from collections.abc import Callable

from detectors.promises import Threshold, expected_run_time_threshold
from monitor.config import DEFAULT_P_VAL, MonitorConfig


def threshold_rule(config: MonitorConfig, reference_size: int) -> Callable[[int], Threshold]:
    """Return the threshold by window size, as a monitor's ``test`` section promises it.

    Parameters
    ----------
    config
        The monitor.
    reference_size
        Number of scores in the reference.
    """
    test, window = config.test, config.window
    if test.expected_run_time is None:
        return _always(test.p_val or DEFAULT_P_VAL)
    full = expected_run_time_threshold(
        test.expected_run_time,
        reference_size,
        window.size,
        test.alternative,
        hop=window.hop,
        confidence=test.confidence,
    )
    # Windows that close for their age may have any size; a threshold of its own for each would take seconds.
    partial = _always(full.level)
    return lambda size: full if size == window.size else partial(size)


def _always(level: float) -> Callable[[int], Threshold]:
    fixed = Threshold(p_value=level, level=level)
    return lambda _: fixed
