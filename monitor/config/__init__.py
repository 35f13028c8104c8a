"""The config: what ops write, as typed values, with one clear sentence for whatever is wrong in it."""

from monitor.config.settings import (
    DEFAULT_P_VAL,
    AlertsConfig,
    Config,
    FieldsConfig,
    InputConfig,
    MonitorConfig,
    WindowConfig,
    WindowTestConfig,
)

__all__ = [
    "DEFAULT_P_VAL",
    "AlertsConfig",
    "Config",
    "FieldsConfig",
    "InputConfig",
    "MonitorConfig",
    "WindowConfig",
    "WindowTestConfig",
]
