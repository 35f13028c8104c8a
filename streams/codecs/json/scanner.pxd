# cython: language_level=3
"""What scanners of other events can build on."""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libcpp.vector cimport vector

cdef enum:
    DEEPEST = 64
    EXACT_DIGITS = 18  # of a decimal integer that is sure to fit 64 bits with a sign

cdef enum:
    INSTANCE, PREDICTION, TEXT, TIME, OTHER, OBJECT
    N_NUMBERS = 2  # kinds that are numbers come first

cdef struct Key:
    const char* name
    Py_ssize_t length
    int kind
    int column
    int first  # keys of the object below
    int last


cdef struct Numbers:
    # Instances or predictions.
    float* first
    Py_ssize_t size  # of one
    Py_ssize_t count  # how many the event has


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


cdef inline const char* closing_quote(const char* at, bint* is_plain) noexcept nogil:
    """Find the end of a text from its first character on, and whether it is ASCII without escapes."""
    cdef uint8_t character = <uint8_t>at[0]
    cdef uint8_t joined = 0
    while character != b'"':
        if character == b"\\":
            joined = 128
            at += 1
            character = <uint8_t>at[0]
        if character < 32:
            return NULL
        joined |= character
        at += 1
        character = <uint8_t>at[0]
    is_plain[0] = joined < 128
    return at


cdef class EventScanner:
    cdef vector[Key] keys
    cdef vector[vector[Py_ssize_t]] shapes
    cdef Numbers[N_NUMBERS] numbers
    cdef int n_root
    cdef uint64_t required
    cdef Py_ssize_t max_bytes, n_columns
    cdef list names

    # What a batch becomes.
    cdef object arrays
    cdef list columns
    cdef int64_t* rows
    cdef Py_ssize_t filled, capacity

    # The event that is read: its value, and where its JSON ends.
    cdef const char* start
    cdef const char* end
    cdef const char* after
    cdef bint is_followed
    cdef uint64_t found

    cdef int _grow(self, Py_ssize_t more) except -1
    cdef int _enter(self, Py_ssize_t row) except -1
    cdef bint _read_event(self) except -1
    cdef const char* _past_object(self, const char* at, int first, int last) except? NULL
    cdef const char* _past_key(self, const char* at, int first, int last, int* number) except? NULL
    cdef const char* _past_name(self, const char* at, const char** after) except? NULL
    cdef const char* _past_wanted(self, const char* at, Key* key) except? NULL
    cdef const char* _past_array(self, const char* at, int kind) except? NULL
    cdef const char* _past_numbers(self, const char* at, int kind, vector[Py_ssize_t]* shape) noexcept nogil
    cdef const char* _past_unwanted(self, const char* at, int depth) except? NULL
