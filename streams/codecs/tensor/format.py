"""How the headers of a tensor event describe its value."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from streams import headers as names
from streams.codecs.rejection import BadEventError, shown
from streams.events import EventSchema, RejectReason

DEFAULT_DTYPE = "<f4"

DTYPES: dict[str, np.dtype[np.generic]] = {
    name: np.dtype(code)
    for code in ("<f2", "<f4", "<f8", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8")
    for name in (code, code[1:], np.dtype(code).name)
}
"""Types by each name that a header may use: ``<f4``, ``f4`` and ``float32``. All are little-endian."""

_SHAPE = re.compile(r"[(\[]?\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*,?\s*[)\]]?")


@dataclass(frozen=True)
class TensorFormat:
    """What the bytes of a value are: an instance's numbers, then a prediction's.

    Attributes
    ----------
    instance_dtype, prediction_dtype
        Types of the numbers.
    instance_size, prediction_size
        How many there are of each.
    prediction_required
        Whether the prediction may not be left out.
    """

    instance_dtype: np.dtype[np.generic]
    prediction_dtype: np.dtype[np.generic]
    instance_size: int
    prediction_size: int
    prediction_required: bool

    @cached_property
    def instance_bytes(self) -> int:
        """Bytes of an instance."""
        return self.instance_size * self.instance_dtype.itemsize

    @cached_property
    def event_bytes(self) -> int:
        """Bytes of an instance with its prediction."""
        return self.instance_bytes + self.prediction_size * self.prediction_dtype.itemsize

    def fits(self, length: int) -> bool:
        """Tell whether a value of ``length`` bytes is such an event."""
        return length == self.event_bytes or (not self.prediction_required and length == self.instance_bytes)

    def split(self, values: list[bytes]) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic] | None]:
        """Read values of one fitting length: instances (n, size), predictions (n, n_classes) or None."""
        joined = b"".join(values)
        instance = ("instance", self.instance_dtype, (self.instance_size,))
        if not self.prediction_required:
            rest = ("ignored", "V1", (len(values[0]) - self.instance_bytes,))
            return np.frombuffer(joined, dtype=np.dtype([instance, rest]))["instance"], None
        prediction = ("prediction", self.prediction_dtype, (self.prediction_size,))
        columns = np.frombuffer(joined, dtype=np.dtype([instance, prediction]))
        return columns["instance"], columns["prediction"]

    def explain(self, length: int) -> str:
        """Say why a value of ``length`` bytes does not fit."""
        prediction = f"{self.prediction_size} of {self.prediction_dtype} for the prediction"
        if not self.prediction_required:
            prediction += " unless it is left out"
        return (
            f"The value has {length} bytes, expected {self.event_bytes}: {self.instance_size} numbers of "
            f"{self.instance_dtype} for the instance and {prediction}."
        )


def tensor_format(described: dict[str, bytes | None], schema: EventSchema) -> TensorFormat:
    """Read the headers that describe a value.

    Raises
    ------
    BadEventError
        If a type is unknown or the shape is not the schema's (all numbers in one dimension are fine).
    """
    size = math.prod(schema.input_shape)
    shape = described.get(names.TENSOR_SHAPE)
    if shape is not None:
        _check_shape(header_text(names.TENSOR_SHAPE, shape), schema.input_shape)
    return TensorFormat(
        instance_dtype=_dtype(names.TENSOR_DTYPE, described),
        prediction_dtype=_dtype(names.PREDICTION_DTYPE, described),
        instance_size=size,
        prediction_size=schema.n_classes,
        prediction_required=schema.prediction_required,
    )


def header_text(name: str, value: bytes) -> str:
    """Decode a header.

    Raises
    ------
    BadEventError
        If it is not UTF-8.
    """
    try:
        return value.decode()
    except UnicodeDecodeError:
        detail = f"The header {name!r} is {shown(value)}, expected UTF-8 text."
        raise BadEventError(RejectReason.UNDECODABLE, detail) from None


def _dtype(name: str, described: dict[str, bytes | None]) -> np.dtype[np.generic]:
    value = described.get(name)
    text = DEFAULT_DTYPE if value is None else header_text(name, value)
    if text not in DTYPES:
        known = ", ".join(known for known in DTYPES if known[0] in "<|")
        detail = f"The header {name!r} is {shown(text)}, expected one of {known}."
        raise BadEventError(RejectReason.WRONG_DTYPE, detail)
    return DTYPES[text]


def _check_shape(text: str, expected: tuple[int, ...]) -> None:
    found = _SHAPE.fullmatch(text.strip())
    shape = tuple(int(length) for length in found[1].split(",")) if found else None
    if shape not in (expected, (math.prod(expected),)):
        written = ",".join(map(str, expected))
        detail = f"The header {names.TENSOR_SHAPE!r} is {shown(text)}, expected {written!r}."
        raise BadEventError(RejectReason.WRONG_SHAPE, detail)
