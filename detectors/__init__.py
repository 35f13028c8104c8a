"""The statistics: distilled-model scoring and two-sample tests. Needs no broker and no Redis.

Names are imported when first used, since TensorFlow takes seconds to load and the tests alone do not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detectors.bundles.bundle import Bundle, load_bundle, load_detector, save_detector
    from detectors.distillation import ModelDistillation
    from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
    from detectors.ks_drift import KSDrift
    from detectors.preprocessing import UAE, HiddenOutput, preprocess_drift, scale_by_instance
    from detectors.promises.online_fdr import FdrState, OnlineFdr
    from detectors.promises.promises import (
        Threshold,
        expected_run_time_threshold,
        reference_size_warning,
        uniform_of,
    )
    from detectors.promises.tie_breaking import TieBreaker
    from detectors.window_tests import WindowTest, WindowTestResult, window_test

_HOMES = {
    "Bundle": "detectors.bundles.bundle",
    "FdrState": "detectors.promises.online_fdr",
    "HiddenOutput": "detectors.preprocessing",
    "KSDrift": "detectors.ks_drift",
    "KolmogorovSmirnovTest": "detectors.kolmogorov_smirnov.ks_test",
    "ModelDistillation": "detectors.distillation",
    "OnlineFdr": "detectors.promises.online_fdr",
    "Threshold": "detectors.promises.promises",
    "TieBreaker": "detectors.promises.tie_breaking",
    "UAE": "detectors.preprocessing",
    "WindowTest": "detectors.window_tests",
    "WindowTestResult": "detectors.window_tests",
    "expected_run_time_threshold": "detectors.promises.promises",
    "load_bundle": "detectors.bundles.bundle",
    "load_detector": "detectors.bundles.bundle",
    "preprocess_drift": "detectors.preprocessing",
    "reference_size_warning": "detectors.promises.promises",
    "save_detector": "detectors.bundles.bundle",
    "scale_by_instance": "detectors.preprocessing",
    "uniform_of": "detectors.promises.promises",
    "window_test": "detectors.window_tests",
}

__all__ = [
    "UAE",
    "Bundle",
    "FdrState",
    "HiddenOutput",
    "KSDrift",
    "KolmogorovSmirnovTest",
    "ModelDistillation",
    "OnlineFdr",
    "Threshold",
    "TieBreaker",
    "WindowTest",
    "WindowTestResult",
    "expected_run_time_threshold",
    "load_bundle",
    "load_detector",
    "preprocess_drift",
    "reference_size_warning",
    "save_detector",
    "scale_by_instance",
    "uniform_of",
    "window_test",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
