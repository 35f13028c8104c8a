"""What a monitor promises about false alarms, as the rule by which windows of any size have drifted."""

from __future__ import annotations

from collections.abc import Callable

from detectors.promises import Threshold, expected_run_time_threshold
from monitor.config import MonitorConfig


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
    if test.p_val is not None:
        fixed = Threshold(test.p_val, 0.0, test.p_val)
        return lambda _: fixed

    def promised(size: int) -> Threshold:
        # A window closed for its age shares nothing with the next one.
        hop = window.hop if size == window.size else None
        return expected_run_time_threshold(
            test.expected_run_time or 0.0,
            reference_size,
            size,
            test.alternative,
            hop=hop,
            confidence=test.confidence,
        )

    return promised
