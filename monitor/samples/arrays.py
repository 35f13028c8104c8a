"""Arrays and models that users name on the command line: a file, or ``module:function``."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.config.faults import quoted_choice
from monitor.errors import SetupError

ARRAY_SUFFIXES = (".npy", ".npz", ".parquet")
USUAL_KEYS = ("X", "x", "instances", "instance")
"""What arrays of instances are mostly called; tried in this order when a file holds several, none named."""
PREDICTION_KEYS = ("predictions", "prediction")
"""What arrays of predictions beside the instances are called."""

_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def read_array(source: str, key: str | None, option: str) -> npt.NDArray[Any]:
    """Read an array from a file, or call a function for it.

    Parameters
    ----------
    source
        A ``.npy``, ``.npz`` or ``.parquet`` file, or ``module:function``, called without arguments.
    key
        Array of a ``.npz`` file, or column of a ``.parquet`` file.
    option
        Where the source was given, for errors, such as ``--data``.

    Returns
    -------
    ndarray
        Numbers of any shape and dtype.

    Raises
    ------
    SetupError
        If there is no such file, function or array.
    """
    if is_function(source):
        array = np.asarray(call_function(source, option))
        if array.dtype.kind not in "biuf":
            raise SetupError(
                f"{option}: {source} returned dtype {array.dtype}; it must return an array of numbers."
            )
        return array
    path = Path(source)
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        raise SetupError(
            f"{option}: {source} is not a {quoted_choice(ARRAY_SUFFIXES)} file; name one, or a function that"
            " returns the array, as module:function."
        )
    try:
        if path.suffix.lower() == ".parquet":
            from monitor.samples.parquet import read_parquet_array  # needs an extra

            return read_parquet_array(path, key, option)
        return _read_numpy(path, key, option)
    except OSError as error:
        raise SetupError(f"{option}: {source} cannot be read: {error.strerror or error}.") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SetupError(
            f"{option}: {source} is not a readable {path.suffix} file of numbers: {_first_line(error)}."
        ) from error


def find_predictions(path: Path) -> str | None:
    """Find the name under which a ``.npz`` or ``.parquet`` file holds predictions; None if it holds none."""
    names: list[str] = []
    if path.suffix.lower() == ".npz" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
    elif path.suffix.lower() == ".parquet":
        from monitor.samples.parquet import column_names

        names = column_names(path)
    return next((name for name in PREDICTION_KEYS if name in names), None)


def is_function(source: str) -> bool:
    """Tell ``module:function`` from a path."""
    return _FUNCTION.fullmatch(source) is not None and not Path(source).exists()


def call_function(source: str, option: str) -> Any:
    """Import a module and call a function of it without arguments.

    Modules are found as Python finds them, and in the current directory.

    Parameters
    ----------
    source
        ``module:function``.
    option
        Where it was given, for errors.

    Raises
    ------
    SetupError
        If there is no such module or function, or it fails.
    """
    module_name, _, function_name = source.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise SetupError(f"{option}: module {module_name!r} cannot be imported: {error}.") from error
    function: Callable[[], Any] | None = getattr(module, function_name, None)
    if not callable(function):
        raise SetupError(f"{option}: module {module_name!r} has no function {function_name!r}.")
    try:
        return function()
    except Exception as error:  # the user's code may raise anything
        raise SetupError(
            f"{option}: {source} raised {type(error).__name__}: {_first_line(error)};"
            " 'drift-monitor --debug ...' shows where."
        ) from error


def choose_key(names: list[str], key: str | None, what: str) -> str:
    """Choose an array by name; without a name the only one, or the one with a usual name.

    Raises
    ------
    SetupError
        If there is no such array, or a choice and no name.
    """
    if key is not None:
        if key not in names:
            raise SetupError(f"{what} has no array {key!r}; it has {quoted_choice(names)}.")
        return key
    if len(names) == 1:
        return names[0]
    for usual in USUAL_KEYS:
        if usual in names:
            return usual
    raise SetupError(f"{what} has several arrays; name one with the key option: {quoted_choice(names)}.")


def _read_numpy(path: Path, key: str | None, option: str) -> npt.NDArray[Any]:
    loaded = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix == ".npy" else None)
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded:
        if not loaded.files:
            raise SetupError(f"{option}: {path} holds no array.")
        return np.asarray(loaded[choose_key(list(loaded.files), key, f"{option}: {path}")])


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
