"""What can go wrong in the product: one root, named children."""

from __future__ import annotations


class MonitorError(Exception):
    """Root of every error raised by ``monitor``; its message is one sentence fit for an operator."""


class ConfigError(MonitorError):
    """A config file is missing, malformed or asks for something that cannot be."""


class SetupError(MonitorError):
    """Something that a command was given, or needs in order to begin, is missing or wrong."""
