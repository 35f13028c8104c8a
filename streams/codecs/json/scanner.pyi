"""JSON events of the usual kind, scanned from their bytes straight into columns."""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Kind: TypeAlias = Literal["instance", "prediction", "text", "time", "other", "object"]
Keys: TypeAlias = Sequence[tuple[bytes, Kind, int, "Keys"]]

class EventScanner:
    def __init__(self, wanted: Keys, shape: Sequence[int], n_classes: int, max_bytes: int) -> None: ...
    def scan(
        self, values: list[bytes | None], json_lengths: npt.NDArray[np.int64] | None = None
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32], list[list[Any]]]: ...
