"""What a monitor promises about false alarms, as the p-value below which a window has drifted."""

from __future__ import annotations

from monitor.config import DEFAULT_P_VAL, MonitorConfig


def p_threshold(config: MonitorConfig, reference_size: int) -> float:
    """Return the p-value below which a window of this monitor has drifted.

    Parameters
    ----------
    config
        The monitor; its ``test`` section names the promise.
    reference_size
        Number of scores in the reference.
    """
    del reference_size
    return config.test.p_val or DEFAULT_P_VAL
