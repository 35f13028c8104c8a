"""Arrays out of Parquet files: a column of numbers or of lists, or all numeric columns side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monitor.errors import SetupError

LIST_COLUMNS = ("instance", "instances", "X", "x")
"""Columns of lists that are taken for the instances when no column is named."""

OTHER_COLUMNS = ("prediction", "predictions", "id")
"""Columns that are no features."""


def column_names(path: Path) -> list[str]:
    """Name the columns of a Parquet file.

    Raises
    ------
    SetupError
        If pyarrow is missing or the file is no Parquet file.
    """
    pa, pq = _pyarrow(path)
    try:
        names: list[str] = pq.read_schema(path).names
    except pa.ArrowInvalid as error:
        raise SetupError(f"{path} is not a readable Parquet file: {error}.") from error
    return names


def read_parquet_array(path: Path, column: str | None, option: str) -> npt.NDArray[Any]:
    """Read numbers from a Parquet file.

    Parameters
    ----------
    path
        The file.
    column
        A column of numbers, shape (n,), or of equally long and possibly nested lists, shape (n, ...). When
        not given, a column of lists with a usual name, else all columns as features, shape (n, k).
    option
        Where the file was given, for errors.

    Raises
    ------
    SetupError
        If pyarrow is missing, there is no such column, or it does not hold numbers of one shape.
    """
    pa, pq = _pyarrow(path)
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise SetupError(f"{option}: {path} is not a readable Parquet file: {error}.") from error
    names: list[str] = table.column_names
    if column is None:
        column = next((name for name in LIST_COLUMNS if name in names), None)
    if column is None:
        features = [name for name in names if name not in OTHER_COLUMNS]
        if not features:
            raise SetupError(f"{option}: {path} has no columns of features.")
        return np.column_stack(
            [_column(table[name], f"{option}: column {name!r} of {path}") for name in features]
        )
    if column not in names:
        raise SetupError(f"{option}: {path} has no column {column!r}; it has {', '.join(names)}.")
    return _column(table[column], f"{option}: column {column!r} of {path}")


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise SetupError(
            f"{path}: reading Parquet needs pyarrow; install it with pip install 'drift-monitor[parquet]'."
        ) from None
    return pyarrow, pyarrow.parquet


def _column(column: Any, what: str) -> npt.NDArray[Any]:
    import pyarrow as pa

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    shape = [len(array)]
    while pa.types.is_list(array.type) or pa.types.is_large_list(array.type) or _is_fixed(array.type):
        if array.null_count:
            raise SetupError(f"{what} has empty cells.")
        lengths = np.unique(array.value_lengths().to_numpy(zero_copy_only=False))
        if len(lengths) > 1:
            raise SetupError(
                f"{what} has lists of different lengths, {lengths[0]} and {lengths[-1]} among them."
            )
        shape.append(int(lengths[0]) if len(lengths) else 0)
        array = array.flatten()
    if array.null_count or not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise SetupError(f"{what} must hold numbers and no empty cells; it holds {array.type}.")
    numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return numbers.reshape(shape)


def _is_fixed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_fixed_size_list(kind))
