"""The statistics: distilled-model scoring and two-sample tests. Needs no broker and no Redis.

Names are imported when first used, since TensorFlow takes seconds to load and the tests alone do not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.bundle import Bundle, load_bundle, load_detector, save_detector
    from detectors.distillation import ModelDistillation
    from detectors.ks_drift import KSDrift
    from detectors.preprocessing import UAE, HiddenOutput, preprocess_drift, scale_by_instance

_HOMES = {
    "Bundle": "detectors.bundle",
    "HiddenOutput": "detectors.preprocessing",
    "KSDrift": "detectors.ks_drift",
    "ModelDistillation": "detectors.distillation",
    "UAE": "detectors.preprocessing",
    "load_bundle": "detectors.bundle",
    "load_detector": "detectors.bundle",
    "preprocess_drift": "detectors.preprocessing",
    "save_detector": "detectors.bundle",
    "scale_by_instance": "detectors.preprocessing",
}

__all__ = [
    "UAE",
    "Bundle",
    "HiddenOutput",
    "KSDrift",
    "ModelDistillation",
    "load_bundle",
    "load_detector",
    "preprocess_drift",
    "save_detector",
    "scale_by_instance",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
