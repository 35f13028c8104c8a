"""A config file to a checked `Config`, or to one error that lists every fault with its line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from monitor.config import Config
from monitor.config.types import DIRECTORY
from monitor.config.validation import validation_faults
from monitor.config.yaml_text import UnreadableYamlError, read_yaml
from monitor.errors import ConfigError

MAX_BYTES = 262_144
"""Size limit of a config file: room for five hundred monitors, read in about two seconds."""
MAX_FAULTS = 50
"""Faults that one error lists; nobody reads more at once."""


def load_config(path: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Read and check a config file; nothing is contacted and no other file is opened.

    Parameters
    ----------
    path
        YAML file, UTF-8. Paths in it are taken from its directory.
    environ
        Variables for ``${NAME}``; the process' own when not given.

    Returns
    -------
    Config
        The config, with all paths absolute.

    Raises
    ------
    ConfigError
        If anything is wrong; one line for each fault, ``file:line: sentence``, in the order of the file. No
        line holds the value of an environment variable or a secret.
    """
    path = Path(path)
    environ = os.environ if environ is None else environ
    text = _read_text(path)
    try:
        document = read_yaml(text, environ)
    except UnreadableYamlError as error:
        raise ConfigError(error.fault.render(str(path))) from None
    if document.value is None and not document.faults:
        raise ConfigError(f"{path}:1: the file is empty; it needs the sections kafka, redis and monitors")
    faults = list(document.faults)
    try:
        config = Config.model_validate(document.value, context={DIRECTORY: path.parent})
    except ValidationError as error:
        known = {fault.path for fault in faults}
        faults += [fault for fault in validation_faults(error, document) if fault.path not in known]
    if faults:
        faults.sort(key=lambda fault: fault.line)
        lines = [fault.render(str(path)) for fault in faults[:MAX_FAULTS]]
        if len(faults) > MAX_FAULTS:
            lines.append(f"{path}: and {len(faults) - MAX_FAULTS} more")
        raise ConfigError("\n".join(lines))
    return config


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"There is no config file {path}; name one that exists.") from None
    except IsADirectoryError:
        raise ConfigError(f"The config {path} is a directory; name the YAML file in it.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"The config file {path} cannot be read: {reason}.") from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"The config file {path} has more than {MAX_BYTES} bytes; is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
