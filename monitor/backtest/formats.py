"""Formats of the table of verdicts; told apart before anything that takes seconds is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor.config.faults import quoted_choice
from monitor.errors import SetupError

SUFFIXES = (".csv", ".parquet", ".json")


def check_table_path(path: Path) -> None:
    """Look whether a table can be written in the format that a file's name asks for.

    Raises
    ------
    SetupError
        If there is no such format, or it needs something that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SetupError(f"--output: {path} must end in {quoted_choice(SUFFIXES)}, which says the format.")
    if suffix == ".parquet":
        pyarrow_and_parquet()


def pyarrow_and_parquet() -> tuple[Any, Any]:
    """Import pyarrow and its module for Parquet.

    Raises
    ------
    SetupError
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SetupError(
            "--output: writing Parquet needs pyarrow; install it with pip install 'drift-monitor[parquet]'."
        ) from None
    return pyarrow, pyarrow.parquet
