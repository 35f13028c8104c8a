"""The ``meta`` dictionary that every detector returns with its results."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

DISTRIBUTION = "drift-monitor"


def package_version() -> str:
    """Version of the installed distribution; ``"unknown"`` when the source tree is used without it."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def detector_meta(
    name: str, detector_type: str, data_type: str | None = None, *, online: bool = False
) -> dict[str, Any]:
    """Describe a detector.

    Parameters
    ----------
    name
        Name of the detector's class.
    detector_type
        What it detects: ``"adversarial"`` for instances, ``"drift"`` for batches.
    data_type
        What the user says about the data, such as ``"image"`` or ``"tabular"``; kept as given.
    online
        Whether the detector is fed one instance at a time.

    Returns
    -------
    dict
        Keys ``name``, ``online``, ``data_type``, ``version`` (of this package) and ``detector_type``.
    """
    return {
        "name": name,
        "online": online,
        "data_type": data_type,
        "version": package_version(),
        "detector_type": detector_type,
    }
