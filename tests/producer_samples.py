"""Golden samples: records that producers' own libraries made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.records import Headers

SAMPLES = Path(__file__).parent / "data" / "producers"


class Sample(NamedTuple):
    """A record, and the numbers that its producer was given."""

    key: bytes | None
    headers: Headers
    value: bytes
    instances: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.float64]


def sample(name: str) -> Sample:
    """Read a sample by the name of its file."""
    stored = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return Sample(
        stored["key"] and stored["key"].encode(),
        [(header, text.encode()) for header, text in stored["headers"].items()],
        base64.b64decode(stored["value"]),
        np.array(stored["instances"]),
        np.array(stored["predictions"]),
    )
