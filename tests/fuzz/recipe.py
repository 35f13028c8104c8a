"""Bytes as a row of choices: what any fuzzing engine can vary, shrink and write to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


class Recipe:
    """Choices read one after the other; all are the first one when the bytes have run out.

    Parameters
    ----------
    data
        The bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def exhausted(self) -> bool:
        """Whether all bytes are read."""
        return self._at >= len(self._data)

    def number(self, n_bytes: int = 1) -> int:
        """Read a number of so many bytes."""
        found = self._data[self._at : self._at + n_bytes]
        self._at += n_bytes
        return int.from_bytes(found, "big")

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """Choose one."""
        return choices[self.number(1 if len(choices) <= 256 else 2) % len(choices)]

    def piece(self, length: int) -> bytes:
        """Read bytes as they are."""
        self._at += length
        return self._data[self._at - length : self._at]
