"""The monitor as a part of a Faust app."""

from monitor.faust_plugin.attachment import attach

__all__ = ["attach"]
