"""Parts of records, taken out and put together; ``streams.plain_parts`` does the same in Python."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from streams.records import Headers

def header_columns(headers: list[Headers], names: tuple[str, ...]) -> list[list[bytes | None]]: ...
def places(partitions: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64]) -> list[str]: ...
def packed(
    keys: list[bytes | None],
    headers: list[Headers],
    values: list[bytes],
    head_of: Callable[[tuple[str, ...]], bytes],
) -> tuple[list[int], bytes]: ...
def unpacked(
    contents: list[bytes], names: tuple[str, ...], names_of: Callable[[bytes], Sequence[str]]
) -> tuple[list[list[bytes | None]], list[bytes]]: ...
