"""What can go wrong in the statistics: one root, named children."""

from __future__ import annotations


class DetectorError(Exception):
    """Root of every error raised by ``detectors``."""


class InvalidArgumentError(DetectorError, ValueError):
    """An argument has a wrong type, value, shape or dtype; the message says which and what would be right."""


class NotReadyError(DetectorError, RuntimeError):
    """Something was asked of a detector that it cannot answer yet, such as a flag without a threshold."""


class BundleError(DetectorError):
    """A detector bundle is missing, incomplete, altered or unsafe."""
