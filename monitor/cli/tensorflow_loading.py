"""Importing TensorFlow without what it has to say about itself."""

from __future__ import annotations

import os
import sys

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
"""A user who sets this wants to see TensorFlow's own log, or knows how to keep it off."""


def load_tensorflow() -> None:
    """Import TensorFlow with standard error shut.

    While it is imported, TensorFlow 2.21 writes half a dozen lines past Python, straight to the process'
    standard error, whatever its log level is.
    """
    if LOG_LEVEL in os.environ or "tensorflow" in sys.modules:
        return
    os.environ[LOG_LEVEL] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
        # It is read once; in the environment of a child process it would look like the user's own.
        del os.environ[LOG_LEVEL]
