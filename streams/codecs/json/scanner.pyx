# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# distutils: language = c++
"""JSON events of the usual kind, scanned from their bytes straight into columns.

A scanner reads what nearly every event is made of. Whatever is rarer it leaves alone: an escaped character,
a key of several fields that is there twice, an integer of more than 18 digits, and all that is no JSON. It
accepts nothing that is not valid, and says of no event that it is bad.

Bytes end with a NUL, which no part of an event may hold: each loop stops there at the latest.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.long cimport PyLong_FromLongLong
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, strncmp
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
    DEEPEST = 64
    EXACT_DIGITS = 18  # of a decimal integer that is sure to fit 64 bits with a sign
    EXACT_POWER = 22  # of ten, the largest that a double holds exactly

cdef uint64_t EXACT_INTEGERS = 1 << 53
cdef double[EXACT_POWER + 1] POWERS
for _power in range(EXACT_POWER + 1):
    POWERS[_power] = 10.0**_power

KINDS = ("instance", "prediction", "text", "time", "other", "object")

cdef enum Kind:
    INSTANCE, PREDICTION, TEXT, TIME, OTHER, OBJECT

cdef struct Key:
    const char* name
    Py_ssize_t length
    Kind kind
    int column
    int first  # keys of the object below
    int last


cdef inline const char* past_blanks(const char* at) noexcept nogil:
    while at[0] == b" " or at[0] == b"\n" or at[0] == b"\r" or at[0] == b"\t":
        at += 1
    return at


cdef inline const char* past_digits(const char* at, uint64_t* number) noexcept nogil:
    """Go past digits, which are appended to a number; it is wrong if they are too many."""
    cdef uint8_t digit = <uint8_t>at[0] - 48
    while digit < 10:
        number[0] = number[0] * 10 + digit
        at += 1
        digit = <uint8_t>at[0] - 48
    return at


cdef inline const char* past_integer(const char* at, int64_t* number) noexcept nogil:
    """Read an integer; NULL for anything else, for minus zero, and for many digits."""
    cdef bint negative = at[0] == b"-"
    cdef const char* first = at + negative
    cdef uint64_t digits = 0
    at = past_digits(first, &digits)
    if at == first or at - first > EXACT_DIGITS or (first[0] == b"0" and (at - first > 1 or negative)):
        return NULL
    if at[0] == b"." or at[0] == b"e" or at[0] == b"E":
        return NULL
    number[0] = -<int64_t>digits if negative else <int64_t>digits
    return at


cdef inline const char* past_number(const char* at, const char* end, double* number) noexcept nogil:
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
    return at if nearest_double(start, end, number) == at else NULL


cdef inline const char* closing_quote(const char* at, bint* is_ascii) noexcept nogil:
    """Find the end of a text without escapes, from its first character on; NULL if it has any."""
    cdef uint8_t character = <uint8_t>at[0]
    cdef uint8_t joined = 0
    while character != b'"':
        if character < 32 or character == b"\\":
            return NULL
        joined |= character
        at += 1
        character = <uint8_t>at[0]
    is_ascii[0] = joined < 128
    return at


cdef object text_between(const char* first, const char* last):
    """Decode UTF-8; None if it is none."""
    try:
        return PyUnicode_DecodeUTF8(first, last - first, NULL)
    except UnicodeDecodeError:
        return None


cdef class EventScanner:
    """Scans events for what is wanted of them.

    Parameters
    ----------
    wanted
        Keys of an event: name in UTF-8, kind, number of the column of texts, and for an object its own keys.
    shape
        Shape of an instance.
    n_classes
        Length of a prediction.
    max_bytes
        Longest value.

    Raises
    ------
    ValueError
        If it has more keys than a scanner can look for.
    """

    cdef vector[Key] keys
    cdef vector[Py_ssize_t] shape
    cdef Py_ssize_t size, n_classes, max_bytes
    cdef int n_root
    cdef list names, columns
    cdef float* instance
    cdef float* prediction
    cdef const char* end
    cdef uint64_t found, required

    def __init__(self, wanted, shape, n_classes, max_bytes):
        self.names = []
        self.n_classes = n_classes
        self.max_bytes = max_bytes
        self.size = 1
        for length in shape:
            self.shape.push_back(length)
            self.size *= length
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
            self.keys.push_back(key)
        for name, kind, column, below in wanted:
            if below:
                self.keys[number].first = self.keys.size()
                self.keys[number].last = self.keys.size() + len(below)
                self._add(below)
            number += 1

    def scan(
        self,
        list values,
        float[:, ::1] instances,
        float[:, ::1] predictions,
        uint8_t[::1] scanned,
        list columns,
    ):
        """Read values into columns, and mark the rows of those that were read.

        Parameters
        ----------
        values
            Values of n records.
        instances
            Shape (n, size of an instance); filled.
        predictions
            Shape (n, n_classes), or (n, 0) where none is wanted; filled.
        scanned
            Shape (n,), zeros; ones are set.
        columns
            For each column of texts a list of length n; filled.
        """
        cdef Py_ssize_t row, n = len(values)
        cdef const char* at
        cdef float* first_instance
        cdef float* first_prediction
        if n == 0:
            return
        first_instance = &instances[0, 0]
        first_prediction = &predictions[0, 0] if predictions.shape[1] else NULL
        self.columns = columns
        for row in range(n):
            value = values[row]
            if not PyBytes_Check(value) or PyBytes_GET_SIZE(value) > self.max_bytes:
                continue
            at = PyBytes_AS_STRING(value)
            self.end = at + PyBytes_GET_SIZE(value)
            self.instance = first_instance + row * self.size
            if first_prediction != NULL:
                self.prediction = first_prediction + row * self.n_classes
            self.found = 0
            at = self._past_object(past_blanks(at), row, 0, self.n_root)
            if at != NULL and past_blanks(at) == self.end and self.found & self.required == self.required:
                scanned[row] = 1
        self.columns = None

    cdef const char* _past_object(self, const char* at, Py_ssize_t row, int first, int last) except? NULL:
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
                at = self._past_wanted(at, row, &self.keys[number])
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
        cdef bint is_ascii = False
        cdef int tried
        cdef uint64_t bit
        cdef Key* key
        if at[0] != b'"':
            return NULL
        at = closing_quote(name, &is_ascii)
        if at == NULL or (not is_ascii and text_between(name, at) is None):
            return NULL
        for tried in range(last - first):
            number[0] = number[0] + 1 if number[0] + 1 < last else first
            key = &self.keys[number[0]]
            if key.length == at - name and memcmp(key.name, name, key.length) == 0:
                bit = <uint64_t>1 << number[0]
                if self.found & bit:
                    return NULL
                self.found |= bit
                break
        else:
            number[0] = -1
        at = past_blanks(at + 1)
        return past_blanks(at + 1) if at[0] == b":" else NULL

    cdef const char* _past_wanted(self, const char* at, Py_ssize_t row, Key* key) except? NULL:
        cdef const char* first
        cdef int64_t integer
        cdef bint is_ascii = False
        if key.kind == INSTANCE:
            return self._past_instance(at)
        if key.kind == PREDICTION:
            return self._past_array(at, &self.n_classes, 1, &self.prediction)
        if at[0] == b"n":
            return at + 4 if strncmp(at, b"null", 4) == 0 else NULL
        if key.kind == OBJECT:
            return self._past_object(at, row, key.first, key.last)
        if at[0] == b'"':
            first = at + 1
            at = closing_quote(first, &is_ascii)
            if at == NULL:
                return NULL
            text = text_between(first, at)
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
        (<list>self.columns[key.column])[row] = text
        return at

    cdef const char* _past_instance(self, const char* at) noexcept nogil:
        """Read an array of numbers, flat or of the shape."""
        if self.shape.size() > 1 and at[0] == b"[" and past_blanks(at + 1)[0] != b"[":
            return self._past_array(at, &self.size, 1, &self.instance)
        return self._past_array(at, &self.shape[0], self.shape.size(), &self.instance)

    cdef const char* _past_array(
        self, const char* at, Py_ssize_t* shape, Py_ssize_t n_axes, float** into
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
                at = self._past_array(at, shape + 1, n_axes - 1, into)
            else:
                at = past_number(at, self.end, &number)
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

    cdef const char* _past_unwanted(self, const char* at, int depth) except? NULL:
        """Go past any value that is valid, nested to ``depth`` at most."""
        cdef const char* first = at + 1
        cdef double number
        cdef bint is_ascii = False
        cdef char closing
        if at[0] == b'"':
            at = closing_quote(first, &is_ascii)
            return at + 1 if at != NULL and (is_ascii or text_between(first, at) is not None) else NULL
        if at[0] == b"t":
            return at + 4 if strncmp(at, b"true", 4) == 0 else NULL
        if at[0] == b"f":
            return at + 5 if strncmp(at, b"false", 5) == 0 else NULL
        if at[0] == b"n":
            return at + 4 if strncmp(at, b"null", 4) == 0 else NULL
        if at[0] != b"[" and at[0] != b"{":
            return past_number(at, self.end, &number)
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
