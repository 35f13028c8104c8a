"""Event times: RFC 3339 texts and integers to milliseconds since 1970, whole columns at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

EARLIEST_MS = -62_167_219_200_000
"""0000-01-01T00:00:00Z, the earliest time that RFC 3339 can write."""
LATEST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the latest."""

EXPECTED_TIME = "an RFC 3339 time such as '2026-11-20T12:00:00Z' or an integer in milliseconds since 1970"
"""What a time should have been, for messages."""

_SHORTEST = len("2026-11-20T12:00:00Z")
_LONGEST = 64
"""Longer texts are no times, so that those of a batch have few lengths, whoever wrote them."""
_OFFSET_LENGTH = len("+00:00")
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000

_Bytes = npt.NDArray[np.uint8]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


def parse_times_ms(texts: Sequence[str]) -> tuple[_Ints, _Bools]:
    """Read RFC 3339 date-times of at most 64 characters: any offset; fractions are cut to milliseconds.

    Parameters
    ----------
    texts
        Length n. Quick when there are few different lengths among them, as is the case for one producer.

    Returns
    -------
    times_ms
        Milliseconds since 1970, shape (n,), int64; 0 where a text is not a time.
    readable
        Which texts are times, shape (n,).

    References
    ----------
    RFC 3339, section 5.6. As it allows, ``t``, ``z`` and a space are accepted; second 60 is the next second.
    """
    lengths = set(map(len, texts))
    if len(lengths) == 1 and _SHORTEST <= min(lengths) <= _LONGEST:
        times, readable = _parse_same_length(_character_rows(texts))
        return np.where(readable, times, 0), readable
    times = np.zeros(len(texts), dtype=np.int64)
    readable = np.zeros(len(texts), dtype=np.bool_)
    for length in lengths:
        if _SHORTEST <= length <= _LONGEST:
            rows = [row for row, text in enumerate(texts) if len(text) == length]
            times[rows], readable[rows] = parse_times_ms([texts[row] for row in rows])
    return times, readable


def times_ms(times: Sequence[str | int | None]) -> tuple[_Ints, _Bools, _Bools]:
    """Read a column of times as events carry them.

    Parameters
    ----------
    times
        RFC 3339 texts, integers in milliseconds since 1970, None where there is none; length n.

    Returns
    -------
    times_ms
        Milliseconds since 1970, shape (n,), int64; 0 where there is none.
    has_time
        Which were read, shape (n,).
    unreadable
        Which are there but are not times, shape (n,).
    """
    kinds = set(map(type, times))
    if kinds == {str}:
        read, readable = parse_times_ms(times)  # type: ignore[arg-type] # all are texts
        return read, readable, ~readable
    read = np.zeros(len(times), dtype=np.int64)
    has_time = np.zeros(len(times), dtype=np.bool_)
    if kinds <= {type(None)}:
        return read, has_time, has_time.copy()
    for row, time in enumerate(times):
        if isinstance(time, int) and in_range_ms(time):
            read[row], has_time[row] = time, True
    rows = [row for row, time in enumerate(times) if isinstance(time, str)]
    read[rows], has_time[rows] = parse_times_ms([time for time in times if isinstance(time, str)])
    return read, has_time, ~has_time & np.array([time is not None for time in times])


def in_range_ms(time_ms: int) -> bool:
    """Tell whether an integer can be a time in milliseconds, rather than in micro- or nanoseconds."""
    return EARLIEST_MS <= time_ms <= LATEST_MS


def _character_rows(texts: Sequence[str]) -> _Bytes:
    """Lay out n texts of one length as ASCII codes, shape (length, n): each position is contiguous."""
    # Anything beyond ASCII becomes "?", one byte a character, and is refused where it stands.
    joined = "".join(texts).encode("ascii", "replace")
    return np.ascontiguousarray(np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), -1).T)


def _parse_same_length(characters: _Bytes) -> tuple[_Ints, _Bools]:
    """Read date-times of one length, shape (length, n)."""
    zulu = (characters[-1] | 0x20) == ord("z")
    if zulu.all():
        return _parse_local(characters[:-1])
    times = np.zeros(len(zulu), dtype=np.int64)
    readable = np.zeros(len(zulu), dtype=np.bool_)
    times[zulu], readable[zulu] = _parse_local(characters[:-1, zulu])
    if len(characters) >= _SHORTEST - 1 + _OFFSET_LENGTH:
        others = characters[:, ~zulu]
        local, local_readable = _parse_local(others[:-_OFFSET_LENGTH])
        offset, offset_readable = _parse_offset(others[-_OFFSET_LENGTH:])
        times[~zulu] = local - offset
        readable[~zulu] = local_readable & offset_readable
    return times, readable


def _parse_local(characters: _Bytes) -> tuple[_Ints, _Bools]:
    """Read ``2026-11-20T12:00:00`` with or without a fraction, shape (length, n)."""
    date = characters[:10]
    # The events of a batch nearly always share their date, which is the dear part.
    days, good_date = _parse_date(date[:, :1] if (date == date[:, :1]).all() else date)
    number = _Digits(characters)
    hour, minute, second = number(11, 13), number(14, 16), number(17, 19)
    good = good_date & (characters[13] == ord(":")) & (characters[16] == ord(":"))
    good &= ((characters[10] | 0x20) == ord("t")) | (characters[10] == ord(" "))
    good &= (hour <= 23) & (minute <= 59) & (second <= 60)
    times = days * _DAY_MS + (hour * 60 + minute) * _MINUTE_MS + second * 1000
    fraction_digits = len(characters) - 20
    if fraction_digits >= 0:
        kept = min(fraction_digits, 3)
        times += number(20, 20 + kept) * 10 ** (3 - kept)
        number(20 + kept, len(characters))
        good &= (characters[19] == ord(".")) & (fraction_digits > 0)
    return times, good & number.good


def _parse_date(characters: _Bytes) -> tuple[_Ints, _Bools]:
    """Read ``2026-11-20``, shape (10, n), as days since 1970."""
    number = _Digits(characters)
    year, month, day = number(0, 4), number(5, 7), number(8, 10)
    good = (
        (characters[4] == ord("-")) & (characters[7] == ord("-")) & (month >= 1) & (month <= 12) & number.good
    )
    month_number = np.where(good, (year - 1970) * 12 + month - 1, 0)
    first_day = _first_day(month_number)
    good &= (day >= 1) & (day <= _first_day(month_number + 1) - first_day)
    return first_day + day - 1, good


def _first_day(month_number: _Ints) -> _Ints:
    """Days since 1970 of the first day of a month counted from January 1970."""
    return month_number.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _parse_offset(characters: _Bytes) -> tuple[_Ints, _Bools]:
    """Read ``+02:00``, shape (6, n), into milliseconds east of UTC."""
    number = _Digits(characters)
    hour, minute = number(1, 3), number(4, 6)
    east, west = characters[0] == ord("+"), characters[0] == ord("-")
    good = (east | west) & (characters[3] == ord(":")) & (hour <= 23) & (minute <= 59) & number.good
    return np.where(west, -1, 1) * (hour * 60 + minute) * _MINUTE_MS, good


class _Digits:
    """Reads rows of decimal digits as numbers, and remembers in ``good`` which columns had digits only."""

    def __init__(self, characters: _Bytes) -> None:
        # Anything below "0" wraps around to far above 9.
        self._digits = characters - np.uint8(ord("0"))
        self.good: _Bools = np.ones(characters.shape[1], dtype=np.bool_)

    def __call__(self, start: int, stop: int) -> _Ints:
        value = np.zeros(self._digits.shape[1], dtype=np.int64)
        if start < stop:
            self.good &= (self._digits[start:stop] <= 9).all(axis=0)
        for digits in self._digits[start:stop]:
            value *= 10
            value += digits
        return value
