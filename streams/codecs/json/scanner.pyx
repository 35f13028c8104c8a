# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# distutils: language = c++
"""JSON events of the usual kind, scanned from their bytes straight into columns.

A scanner reads what nearly every event is made of. Whatever is rarer it leaves alone: a key with an escaped
character, a key of several fields that is there twice, an integer of more than 18 digits, and all that is no
JSON. It accepts nothing that is not valid, and says of no event that it is bad.

Bytes end with a NUL, which no part of an event may hold: each loop stops there at the latest. Where anything
follows the JSON a loop may go on into that, which shows when the event does not end where it should.
"""

from json.decoder import scanstring

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.long cimport PyLong_FromLongLong
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memchr, memcmp, strncmp
from libcpp.vector cimport vector

cdef extern from *:
    """
    #include <charconv>

    /* Reads the number nearest to a decimal; null if it is out of range. */
    static const char *nearest_double(const char *first, const char *last, double *number) {
        auto result = std::from_chars(first, last, *number);
        return result.ec == std::errc() ? result.ptr : nullptr;
    }
    """
    const char* nearest_double(const char* first, const char* last, double* number) noexcept nogil

cdef enum:
    MOST_KEYS = 64  # those that an event has had are bits of one word
    EXACT_POWER = 22  # of ten, the largest that a double holds exactly

cdef uint64_t EXACT_INTEGERS = 1 << 53
cdef double[EXACT_POWER + 1] POWERS
for _power in range(EXACT_POWER + 1):
    POWERS[_power] = 10.0**_power

KINDS = ("instance", "prediction", "text", "time", "other", "object")


cdef inline const char* past_number(const char* at, double* number) noexcept nogil:
    """Read the double nearest to a JSON number; NULL for anything else and for what is out of range.

    Short decimals are exact integers over exact powers of ten, whose quotient is the nearest double already
    (W. D. Clinger, "How to read floating point numbers accurately", 1990).
    """
    cdef const char* start = at
    cdef bint negative = at[0] == b"-"
    cdef const char* first = at + negative
    cdef uint64_t digits = 0, exponent_digits = 0
    cdef Py_ssize_t count, decimals = 0, exponent = 0
    cdef bint small, is_short
    at = past_digits(first, &digits)
    count = at - first
    if count == 0 or (count > 1 and first[0] == b"0"):
        return NULL
    if at[0] != b"." and at[0] != b"e" and at[0] != b"E":
        # JSON has no negative zero among its integers.
        if count > EXACT_DIGITS:
            return NULL
        number[0] = <double>(-<int64_t>digits if negative else <int64_t>digits)
        return at
    if at[0] == b".":
        first = at + 1
        at = past_digits(first, &digits)
        decimals = at - first
        if decimals == 0:
            return NULL
    if at[0] == b"e" or at[0] == b"E":
        small = at[1] == b"-"
        first = at + 1 + (small or at[1] == b"+")
        at = past_digits(first, &exponent_digits)
        if at == first or at - first > EXACT_DIGITS:
            return NULL
        exponent = -<int64_t>exponent_digits if small else <int64_t>exponent_digits
    exponent -= decimals
    is_short = count + decimals <= EXACT_DIGITS and digits <= EXACT_INTEGERS
    if is_short and -EXACT_POWER <= exponent <= EXACT_POWER:
        number[0] = digits / POWERS[-exponent] if exponent < 0 else digits * POWERS[exponent]
        if negative:
            number[0] = -number[0]
        return at
    return at if nearest_double(start, at, number) == at else NULL


cdef object text_between(const char* first, const char* last):
    """Decode a text; None if it is not UTF-8, has a wrong escape, or holds half of a surrogate pair."""
    try:
        text = PyUnicode_DecodeUTF8(first, last - first, NULL)
        if "\\" in text:
            text, _ = scanstring(f'{text}"', 0)
            text.encode()
    except ValueError:
        return None
    return text


cdef const char* past_nested(
    const char* at, const Py_ssize_t* shape, Py_ssize_t n_axes, float** into
) noexcept nogil:
    """Read an array of exactly this shape."""
    cdef double number
    cdef Py_ssize_t left
    cdef char after
    if at[0] != b"[":
        return NULL
    at = past_blanks(at + 1)
    for left in range(shape[0] - 1, -1, -1):
        after = b"," if left else b"]"
        if n_axes > 1:
            at = past_nested(at, shape + 1, n_axes - 1, into)
        else:
            at = past_number(at, &number)
            if at != NULL:
                into[0][0] = <float>number
                into[0] += 1
        if at == NULL:
            return NULL
        at = past_blanks(at)
        if at[0] != after:
            return NULL
        at += 1
        if left:
            at = past_blanks(at)
    return at


cdef class EventScanner:
    """Scans events for what is wanted of them.

    Parameters
    ----------
    wanted
        Keys of an event: name in UTF-8, kind, number of the column of texts, and for an object its own keys.
    shape
        Shape of an instance.
    n_classes
        Length of a prediction; 0 if none is wanted.
    max_bytes
        Longest value.

    Raises
    ------
    ValueError
        If it has more keys than a scanner can look for.
    """

    def __init__(self, wanted, shape, n_classes, max_bytes):
        self.names = []
        self.max_bytes = max_bytes
        self.n_columns = 0
        for kind, lengths in (INSTANCE, shape), (PREDICTION, [n_classes]):
            self.shapes.push_back(lengths)
            self.numbers[kind].size = int(np.prod(lengths))
        self.n_root = len(wanted)
        self.required = 0
        self._add(wanted)

    def _add(self, wanted):
        """Lay out the keys of one object side by side, then those of the objects below it."""
        cdef Key key
        cdef int number = self.keys.size()
        if number + len(wanted) > MOST_KEYS:
            raise ValueError(f"{number + len(wanted)} keys are more than {MOST_KEYS}")
        for name, kind, column, _ in wanted:
            self.names.append(name)
            key.name, key.length = PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)
            key.kind, key.column = KINDS.index(kind), column
            key.first = key.last = 0
            if key.kind == INSTANCE or key.kind == PREDICTION:
                self.required |= <uint64_t>1 << self.keys.size()
            self.n_columns = max(self.n_columns, column + 1)
            self.keys.push_back(key)
        for name, kind, column, below in wanted:
            if below:
                self.keys[number].first = self.keys.size()
                self.keys[number].last = self.keys.size() + len(below)
                self._add(below)
            number += 1

    def scan(self, list values, const int64_t[::1] json_lengths=None):
        """Read values into columns.

        Parameters
        ----------
        values
            Values of n records.
        json_lengths
            How many bytes of each are JSON, which something else follows; negative if nothing does. Shape (n,);
            None if nothing follows any.

        Returns
        -------
        rows
            Where the k instances that were read came from, increasing; int64, shape (k,).
        instances
            float32, shape (k, size of an instance).
        predictions
            float32, shape (k, n_classes).
        columns
            Columns of texts, lists of length k.
        """
        cdef Py_ssize_t row, n = len(values)
        self.filled = self.capacity = 0
        self.arrays = None
        self.columns = [[] for _ in range(self.n_columns)]
        self._grow(max(1, n))
        for row in range(n):
            value = values[row]
            if not PyBytes_Check(value) or PyBytes_GET_SIZE(value) > self.max_bytes:
                continue
            if self.filled == self.capacity:
                self._grow(1)
            self.start = PyBytes_AS_STRING(value)
            self.after = self.start + PyBytes_GET_SIZE(value)
            self.end = self.after
            self.is_followed = json_lengths is not None and json_lengths[row] >= 0
            if self.is_followed:
                if json_lengths[row] > PyBytes_GET_SIZE(value):
                    continue
                self.end = self.start + json_lengths[row]
            if self._read_event():
                self._enter(row)
            else:
                for column in self.columns:
                    column[self.filled] = None
        for column in self.columns:
            del column[self.filled:]
        found = *(array[:self.filled] for array in self.arrays), self.columns
        self.arrays = self.columns = None
        return found

    cdef int _grow(self, Py_ssize_t more) except -1:
        """Make room for more instances."""
        cdef int64_t[::1] rows
        cdef float[:, ::1] floats
        cdef int kind
        self.capacity = max(self.filled + more, 2 * self.capacity)
        before = self.arrays
        self.arrays = (
            np.empty(self.capacity, np.int64),
            np.empty((self.capacity, self.numbers[INSTANCE].size), np.float32),
            np.empty((self.capacity, self.numbers[PREDICTION].size), np.float32),
        )
        if before is not None:
            for array, old in zip(self.arrays, before):
                array[:len(old)] = old
        rows = self.arrays[0]
        self.rows = &rows[0]
        for kind in range(N_NUMBERS):
            if self.numbers[kind].size:
                floats = self.arrays[1 + kind]
                self.numbers[kind].first = &floats[0, 0]
        for column in self.columns:
            column += [None] * (self.capacity - len(column))
        return 0

    cdef int _enter(self, Py_ssize_t row) except -1:
        """Keep what was read of an event."""
        cdef Py_ssize_t first = self.filled
        self.filled += self.numbers[INSTANCE].count
        for at in range(first, self.filled):
            self.rows[at] = row
        if self.filled > first + 1:
            for column in self.columns:
                column[first:self.filled] = [column[first]] * (self.filled - first)
        return 0

    cdef bint _read_event(self) except -1:
        """Read the JSON of an event."""
        cdef const char* at
        self.found = 0
        at = self._past_object(past_blanks(self.start), 0, self.n_root)
        if at == NULL or at > self.end or self.found & self.required != self.required:
            return False
        # Blanks may go on in what follows.
        return past_blanks(at) >= self.end

    cdef const char* _past_object(self, const char* at, int first, int last) except? NULL:
        """Read an object and take from it what stands at the keys from ``first`` to ``last``."""
        cdef int number = last - 1
        if at[0] != b"{":
            return NULL
        at = past_blanks(at + 1)
        if at[0] == b"}":
            return at + 1
        while True:
            at = self._past_key(at, first, last, &number)
            if at == NULL:
                return NULL
            if number < 0:
                at = self._past_unwanted(at, DEEPEST)
                number = last - 1
            else:
                at = self._past_wanted(at, &self.keys[number])
            if at == NULL:
                return NULL
            at = past_blanks(at)
            if at[0] == b"}":
                return at + 1
            if at[0] != b",":
                return NULL
            at = past_blanks(at + 1)

    cdef const char* _past_key(self, const char* at, int first, int last, int* number) except? NULL:
        """Find out which key it is, beginning after the last one found; -1 for one that is not wanted."""
        cdef const char* name = at + 1
        cdef const char* after
        cdef int tried
        cdef uint64_t bit
        cdef Key* key
        at = self._past_name(at, &after)
        if at == NULL:
            return NULL
        for tried in range(last - first):
            number[0] = number[0] + 1 if number[0] + 1 < last else first
            key = &self.keys[number[0]]
            if key.length == after - name and memcmp(key.name, name, key.length) == 0:
                bit = <uint64_t>1 << number[0]
                if self.found & bit:
                    return NULL
                self.found |= bit
                return at
        number[0] = -1
        return at

    cdef const char* _past_name(self, const char* at, const char** after) except? NULL:
        """Go past a key and its colon, and tell where its name ends; NULL if it has any escape."""
        cdef const char* name = at + 1
        cdef bint is_plain = False
        if at[0] != b'"':
            return NULL
        at = closing_quote(name, &is_plain)
        if at == NULL:
            return NULL
        if not is_plain and (memchr(name, b"\\", at - name) != NULL or text_between(name, at) is None):
            return NULL
        after[0] = at
        at = past_blanks(at + 1)
        return past_blanks(at + 1) if at[0] == b":" else NULL

    cdef const char* _past_wanted(self, const char* at, Key* key) except? NULL:
        cdef const char* first
        cdef int64_t integer
        cdef bint is_plain = False
        if key.kind == INSTANCE or key.kind == PREDICTION:
            return self._past_array(at, key.kind)
        if at[0] == b"n":
            return at + 4 if strncmp(at, b"null", 4) == 0 else NULL
        if key.kind == OBJECT:
            return self._past_object(at, key.first, key.last)
        if at[0] == b'"':
            first = at + 1
            at = closing_quote(first, &is_plain)
            if at == NULL:
                return NULL
            text = PyUnicode_DecodeUTF8(first, at - first, NULL) if is_plain else text_between(first, at)
            if text is None:
                return NULL
            at += 1
        elif key.kind == OTHER and (at[0] == b"t" or at[0] == b"f"):
            first = at
            at = self._past_unwanted(at, 0)
            if at == NULL:
                return NULL
            text = text_between(first, at)
        else:
            at = past_integer(at, &integer)
            if at == NULL:
                return NULL
            text = PyLong_FromLongLong(integer)
            if key.kind != TIME:
                text = str(text)
        (<list>self.columns[key.column])[self.filled] = text
        return at

    cdef const char* _past_array(self, const char* at, int kind) except? NULL:
        """Read what stands at a key of numbers: one instance or prediction."""
        self.numbers[kind].count = 1
        return self._past_numbers(at, kind, &self.shapes[kind])

    cdef const char* _past_numbers(self, const char* at, int kind, vector[Py_ssize_t]* shape) noexcept nogil:
        """Read an array of as many instances or predictions as were counted, flat or of the shape."""
        cdef Numbers* numbers = &self.numbers[kind]
        cdef float* into = numbers.first + self.filled * numbers.size
        cdef Py_ssize_t total = numbers.count * numbers.size
        if at[0] == b"[" and past_blanks(at + 1)[0] != b"[":
            return past_nested(at, &total, 1, &into)
        return past_nested(at, shape.data(), shape.size(), &into)

    cdef const char* _past_unwanted(self, const char* at, int depth) except? NULL:
        """Go past any value that is valid, nested to ``depth`` at most."""
        cdef const char* first = at + 1
        cdef double number
        cdef bint is_plain = False
        cdef char closing
        if at[0] == b'"':
            at = closing_quote(first, &is_plain)
            return at + 1 if at != NULL and (is_plain or text_between(first, at) is not None) else NULL
        if at[0] == b"t":
            return at + 4 if strncmp(at, b"true", 4) == 0 else NULL
        if at[0] == b"f":
            return at + 5 if strncmp(at, b"false", 5) == 0 else NULL
        if at[0] == b"n":
            return at + 4 if strncmp(at, b"null", 4) == 0 else NULL
        if at[0] != b"[" and at[0] != b"{":
            return past_number(at, &number)
        closing = at[0] + 2  # "]" follows "[" after one more character, as "}" does "{"
        if depth == 0:
            return NULL
        at = past_blanks(first)
        if at[0] == closing:
            return at + 1
        while True:
            if closing == b"}":
                if at[0] != b'"':
                    return NULL
                at = self._past_unwanted(at, depth - 1)
                if at == NULL:
                    return NULL
                at = past_blanks(at)
                if at[0] != b":":
                    return NULL
                at = past_blanks(at + 1)
            at = self._past_unwanted(at, depth - 1)
            if at == NULL:
                return NULL
            at = past_blanks(at)
            if at[0] == closing:
                return at + 1
            if at[0] != b",":
                return NULL
            at = past_blanks(at + 1)
