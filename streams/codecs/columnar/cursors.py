"""One read position in each of many values, moved all together by numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

_PADDING = bytes(16)
"""What may be looked at behind the last value without a check: more than the longest number of any format."""


class Cursors:
    """Positions in m values that lie behind each other in one buffer.

    A value that turns out not to be what the reader takes it for is *doubted*: its position stays within the
    buffer, whatever is read of it is worthless, and the caller asks an exact reader about it afterwards.

    Attributes
    ----------
    blob
        All values, joined.
    data
        The same as bytes, uint8.
    rows
        Row of each value in the batch, shape (m,).
    at, ends
        Position in each value, and where the value ends, shape (m,).
    good
        Which values are not doubted, shape (m,).
    """

    def __init__(self, blob: bytes, data: Bytes, rows: Ints, at: Ints, ends: Ints, good: Bools) -> None:
        self.blob = blob
        self.data = data
        self.rows = rows
        self.at = at
        self.ends = ends
        self.good = good

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def over(cls, values: Sequence[bytes], rows: Ints, start: int = 0) -> Cursors:
        """Begin ``start`` bytes into each of the values of ``rows``; none may be shorter."""
        blob = b"".join([*values, _PADDING])
        lengths = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
        ends = np.cumsum(lengths)
        at = ends - lengths + start
        return cls(blob, np.frombuffer(blob, np.uint8), rows, at, ends, np.ones(len(values), dtype=np.bool_))

    def subset(self, chosen: Bools) -> Cursors:
        """Return the positions that a mask chooses, to be moved on their own and then taken back."""
        return Cursors(
            self.blob, self.data, self.rows[chosen], self.at[chosen], self.ends[chosen], self.good[chosen]
        )

    def take_back(self, chosen: Bools, moved: Cursors) -> None:
        """Go on from where a subset has come to."""
        self.at[chosen] = moved.at
        self.good[chosen] = moved.good

    def doubt(self, bad: Bools | bool = True) -> None:
        """Doubt the values that a mask chooses; all of them by default."""
        self.good &= ~np.asarray(bad)

    def advance(self, lengths: Ints | int) -> None:
        """Move on; what would leave its value is doubted and stays at the value's end."""
        after = self.at + lengths
        bad = (after > self.ends) | (after < self.at)
        if bad.any():
            self.good &= ~bad
            after = np.where(bad, self.ends, after)
        self.at = after

    def bytes_here(self) -> Bytes:
        """Return the byte at each position, shape (m,); that of another value where there is none left."""
        return self.data[self.at]

    def peek(self, width: int) -> Bytes:
        """Return the next ``width`` bytes at each position, shape (m, width).

        Where a value has fewer left, what follows are bytes of another one.
        """
        if width == 0 or width > len(self.data) or not len(self):
            return np.zeros((len(self), width), dtype=np.uint8)
        # Every position is seen as one item of ``width`` bytes, so that each is copied as a whole.
        items = np.ndarray((len(self.data) - width + 1,), f"V{width}", self.data.data, strides=(1,))
        taken: Bytes = items[np.minimum(self.at, len(items) - 1)].view(np.uint8).reshape(len(self), width)
        return taken

    def gather(self, width: int) -> Bytes:
        """Return the next ``width`` bytes at each position, shape (m, width), and move behind them.

        Worthless for values that are doubted then.
        """
        taken = self.peek(width)
        self.advance(width)
        return taken

    def each_kind(self, kinds: Ints | Bytes) -> Iterator[tuple[int, Cursors]]:
        """Go through the values kind by kind, given the kind of each, and take them back when moved."""
        distinct = np.unique(kinds).tolist()
        for kind in distinct:
            if len(distinct) == 1:
                yield kind, self
                return
            chosen = kinds == kind
            part = self.subset(chosen)
            yield kind, part
            self.take_back(chosen, part)

    def texts(self, lengths: Ints) -> list[str | None]:
        """Return the next ``lengths`` bytes of each value as text, and move behind them.

        None, and doubted, where they are not UTF-8.
        """
        starts = self.at
        self.advance(lengths)
        blob = self.blob
        spans = zip(starts.tolist(), self.at.tolist(), strict=True)
        try:
            return [str(blob[start:end], "utf-8") for start, end in spans]
        except UnicodeDecodeError:
            return self._texts_that_can_be_read(starts)

    def _texts_that_can_be_read(self, starts: Ints) -> list[str | None]:
        texts: list[str | None] = []
        for index, (start, end) in enumerate(zip(starts.tolist(), self.at.tolist(), strict=True)):
            try:
                texts.append(str(self.blob[start:end], "utf-8"))
            except UnicodeDecodeError:
                texts.append(None)
                self.good[index] = False
        return texts
