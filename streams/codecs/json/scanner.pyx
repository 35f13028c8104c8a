# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# distutils: language = c++
"""JSON events of the usual kind, scanned from their bytes straight into columns.

A scanner reads what nearly every event is made of. Whatever is rarer it leaves alone: a key with an escaped
character, a key of several fields that is there twice, an integer of more than 18 digits, and all that is no
JSON. It accepts nothing that is not valid, and says of no event that it is bad.

Numbers are arrays of an event, or tensors of the Open Inference Protocol, in JSON or in what follows it.

Bytes end with a NUL, which no part of an event may hold: each loop stops there at the latest. Where anything
follows the JSON a loop may go on into that, which shows when the event does not end where it should.
"""

import json

import numpy as np

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.long cimport PyLong_FromLongLong
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, strncmp
from libcpp.vector cimport vector

cdef extern from *:
    """
    #include <charconv>
    #include <cstdint>
    #include <cstring>

    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #error "Binary tensors are read as numbers of a little-endian processor."
    #endif

    /* Reads the number nearest to a decimal; null if it is out of range. */
    static const char *nearest_double(const char *first, const char *last, double *number) {
        auto result = std::from_chars(first, last, *number);
        return result.ec == std::errc() ? result.ptr : nullptr;
    }

    /* Converts unaligned numbers by way of doubles, as NumPy does for the exact reader. */
    template <typename Number> static void convert(const char *numbers, Py_ssize_t count, float *into) {
        for (Py_ssize_t at = 0; at < count; ++at) {
            Number number;
            std::memcpy(&number, numbers + at * sizeof(Number), sizeof(Number));
            into[at] = static_cast<float>(static_cast<double>(number));
        }
    }

    static const char *const TENSOR_KEYS[] = {"name", "shape", "datatype", "data", "parameters"};

    struct Datatype {
        const char *name;
        Py_ssize_t size;
        void (*convert)(const char *numbers, Py_ssize_t count, float *into);
    };

    /* Of those without a conversion only data in JSON are read. */
    static Datatype DATATYPES[] = {
        {"FP32", 4, convert<float>},      {"FP64", 8, convert<double>},     {"INT64", 8, convert<std::int64_t>},
        {"INT32", 4, convert<std::int32_t>}, {"INT16", 2, convert<std::int16_t>}, {"INT8", 1, convert<std::int8_t>},
        {"UINT8", 1, convert<std::uint8_t>}, {"UINT16", 2, convert<std::uint16_t>},
        {"UINT32", 4, convert<std::uint32_t>}, {"UINT64", 8, convert<std::uint64_t>},
        {"FP16", 2, nullptr},             {"BOOL", 1, nullptr},
    };

    static Datatype *datatype_named(const char *name, Py_ssize_t length) {
        for (Datatype &datatype : DATATYPES)
            if (length == (Py_ssize_t)std::strlen(datatype.name) && !std::memcmp(datatype.name, name, length))
                return &datatype;
        return nullptr;
    }
    """
    const char** TENSOR_KEYS
    ctypedef struct Datatype:
        Py_ssize_t size
        void (*convert)(const char* numbers, Py_ssize_t count, float* into) noexcept nogil

    const char* nearest_double(const char* first, const char* last, double* number) noexcept nogil
    Datatype* datatype_named(const char* name, Py_ssize_t length) noexcept nogil

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

cdef enum:
    INSTANCE, PREDICTION, TEXT, TIME, OTHER, OBJECT
    N_NUMBERS = 2  # kinds that are numbers come first

cdef enum:
    NAME, SHAPE, DATATYPE, DATA, PARAMETERS, UNKNOWN

cdef const char* BINARY_SIZE = b"binary_data_size"

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
    Py_ssize_t binary_size  # of all its tensors behind the JSON
    Py_ssize_t offset  # there; negative if they are in JSON
    Datatype* datatype


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


cdef object text_between(const char* first, const char* last):
    """Decode a text; None if it is not UTF-8, has a wrong escape, or holds half of a surrogate pair."""
    try:
        text = PyUnicode_DecodeUTF8(first, last - first, NULL)
        if "\\" in text:
            text = json.loads(f'"{text}"')
            text.encode()
    except ValueError:
        return None
    return text


cdef inline bint is_text(const char* first, const char* last, const char* text) noexcept nogil:
    """Tell whether a text, which ends with a quote, is this one."""
    return strncmp(first, text, last - first) == 0 and text[last - first] == 0


cdef const char* past_nested(
    const char* at, const char* end, const Py_ssize_t* shape, Py_ssize_t n_axes, float** into
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
            at = past_nested(at, end, shape + 1, n_axes - 1, into)
        else:
            at = past_number(at, end, &number)
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
    tensors
        Names, in UTF-8, of the tensors that hold instances and predictions, each None where there is to be
        only one; None if instances and predictions are arrays of numbers.

    Raises
    ------
    ValueError
        If it has more keys than a scanner can look for.
    """

    cdef vector[Key] keys
    cdef vector[vector[Py_ssize_t]] shapes
    cdef Numbers[N_NUMBERS] numbers
    cdef vector[Py_ssize_t] axes  # of the tensor that is read
    cdef int n_root
    cdef uint64_t required
    cdef Py_ssize_t max_bytes, n_columns
    cdef list names
    cdef object tensor_names

    # What a batch becomes.
    cdef object arrays
    cdef list columns
    cdef int64_t* rows
    cdef Py_ssize_t filled, capacity

    # The event that is read: its value, and where its JSON ends.
    cdef const char* start
    cdef const char* end
    cdef const char* after
    cdef bint is_binary
    cdef uint64_t found

    def __init__(self, wanted, shape, n_classes, max_bytes, tensors=None):
        self.names = []
        self.max_bytes = max_bytes
        self.n_columns = 0
        self.tensor_names = tensors
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
            How many bytes of each are JSON, the others being binary tensors; negative if all are. Shape (n,);
            None if all are of all.

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
        cdef int64_t length
        self.filled = self.capacity = 0
        self.columns = [[] for _ in range(self.n_columns)]
        self._grow(max(1, n))
        for row in range(n):
            value = values[row]
            if not PyBytes_Check(value) or PyBytes_GET_SIZE(value) > self.max_bytes:
                continue
            if self.filled == self.capacity:
                self._grow(1)
            length = PyBytes_GET_SIZE(value)
            self.start = PyBytes_AS_STRING(value)
            self.after = self.start + length
            self.is_binary = json_lengths is not None and json_lengths[row] >= 0
            if self.is_binary:
                length = json_lengths[row]
            self.end = self.start + min(length, self.after - self.start)
            if length <= self.after - self.start and self._read_event():
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
        cdef const char* at
        cdef int kind
        self.found = 0
        for kind in range(N_NUMBERS):
            self.numbers[kind].count = self.numbers[kind].binary_size = 0
            self.numbers[kind].offset = -1
        # Whose sizes count, if outputs are not looked at, is for others to say.
        if self.is_binary and not self.numbers[PREDICTION].size:
            return False
        at = self._past_object(past_blanks(self.start), 0, self.n_root)
        if at == NULL or at > self.end or self.found & self.required != self.required:
            return False
        # Blanks may go on in what is binary.
        if past_blanks(at) < self.end:
            return False
        if self.numbers[PREDICTION].size and self.numbers[PREDICTION].count != self.numbers[INSTANCE].count:
            return False
        return not self.is_binary or self._take_binary()

    cdef bint _take_binary(self) noexcept nogil:
        """Take the numbers that are behind the JSON: tensors of the inputs, then those of the outputs."""
        cdef const char* at = self.end
        cdef Numbers* numbers
        cdef int kind
        if self.numbers[INSTANCE].binary_size + self.numbers[PREDICTION].binary_size != self.after - at:
            return False
        for kind in range(N_NUMBERS):
            numbers = &self.numbers[kind]
            if numbers.offset >= 0:
                numbers.datatype.convert(
                    at + numbers.offset,
                    numbers.count * numbers.size,
                    numbers.first + self.filled * numbers.size,
                )
            at += numbers.binary_size
        return True

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
            return self._past_tensors(at, key.kind) if self.tensor_names is not None else self._past_array(at, key.kind)
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

    cdef const char* _past_array(self, const char* at, int kind) noexcept nogil:
        """Read one instance or prediction."""
        self.numbers[kind].count = 1
        return self._past_numbers(at, kind, &self.shapes[kind])

    cdef const char* _past_numbers(self, const char* at, int kind, vector[Py_ssize_t]* shape) noexcept nogil:
        """Read an array of as many instances or predictions as were counted, flat or of the shape."""
        cdef Numbers* numbers = &self.numbers[kind]
        cdef float* into = numbers.first + self.filled * numbers.size
        cdef Py_ssize_t total = numbers.count * numbers.size
        if at[0] == b"[" and past_blanks(at + 1)[0] != b"[":
            return past_nested(at, self.end, &total, 1, &into)
        return past_nested(at, self.end, shape.data(), shape.size(), &into)

    cdef const char* _past_tensors(self, const char* at, int kind) except? NULL:
        """Read the one of several tensors that is wanted."""
        cdef int n_tensors = 0, n_wanted = 0
        if at[0] != b"[":
            return NULL
        while n_tensors == 0 or at[0] == b",":
            at = self._past_tensor(past_blanks(at + 1), kind, &n_wanted)
            if at == NULL:
                return NULL
            at = past_blanks(at)
            n_tensors += 1
        if at[0] != b"]" or n_wanted != 1:
            return NULL
        return at + 1

    cdef const char* _past_tensor(self, const char* at, int kind, int* n_wanted) except? NULL:
        """Read a tensor, and count it if it is wanted."""
        cdef Numbers* numbers = &self.numbers[kind]
        cdef const char* name
        cdef const char* after
        cdef const char* shape = NULL
        cdef const char* data = NULL
        cdef Datatype* datatype = NULL
        cdef int64_t binary_size = -1
        cdef bint is_wanted = self.tensor_names[kind] is None, is_plain = False, is_read = False
        cdef int key, seen = 0
        if at[0] != b"{":
            return NULL
        while seen == 0 or at[0] == b",":
            at = past_blanks(at + 1)
            name = at + 1
            at = self._past_name(at, &after)
            if at == NULL:
                return NULL
            key = 0
            while key != UNKNOWN and not is_text(name, after, TENSOR_KEYS[key]):
                key += 1
            if key != UNKNOWN and seen & (1 << key):
                return NULL
            seen |= 1 << key
            if key == NAME and not is_wanted:
                at = self._past_text(at, &name, &after)
                is_wanted = at != NULL and self._is_named(kind, name, after)
            elif key == DATATYPE:
                at = self._past_text(at, &name, &after)
                if at != NULL:
                    datatype = datatype_named(name, after - name)
            elif key == PARAMETERS and at[0] == b"{":
                at = self._past_parameters(at, &binary_size)
            elif key == DATA and is_wanted and shape != NULL:
                at = self._past_data(at, kind, shape)
                is_read = True
            else:
                if key == SHAPE:
                    shape = at
                elif key == DATA:
                    data = at
                at = self._past_unwanted(at, DEEPEST)
            if at == NULL:
                return NULL
            at = past_blanks(at)
        if at[0] != b"}":
            return NULL
        if binary_size >= 0:
            if binary_size > self.after - self.end - numbers.binary_size:
                return NULL
            numbers.binary_size += binary_size
        if is_wanted:
            n_wanted[0] += 1
            if datatype == NULL or shape == NULL:
                return NULL
            if binary_size >= 0:
                if datatype.convert == NULL or not self._make_room(kind, shape):
                    return NULL
                if binary_size != numbers.count * numbers.size * datatype.size:
                    return NULL
                numbers.datatype, numbers.offset = datatype, numbers.binary_size - binary_size
            elif not is_read and (data == NULL or self._past_data(data, kind, shape) == NULL):
                return NULL
        return at + 1

    cdef const char* _past_text(self, const char* at, const char** first, const char** last) except? NULL:
        """Go past a text of ASCII without escapes; NULL for anything else."""
        cdef bint is_plain = False
        first[0] = at + 1
        if at[0] != b'"':
            return NULL
        last[0] = closing_quote(at + 1, &is_plain)
        return last[0] + 1 if is_plain else NULL

    cdef bint _is_named(self, int kind, const char* first, const char* last) except -1:
        cdef bytes name = self.tensor_names[kind]
        return is_text(first, last, name)

    cdef const char* _past_parameters(self, const char* at, int64_t* binary_size) except? NULL:
        """Read parameters of a tensor, of which the size of its binary data is wanted."""
        cdef const char* name
        cdef const char* after
        if past_blanks(at + 1)[0] == b"}":
            return past_blanks(at + 1) + 1
        while True:
            at = past_blanks(at + 1)
            name = at + 1
            at = self._past_name(at, &after)
            if at == NULL:
                return NULL
            if not is_text(name, after, BINARY_SIZE):
                at = self._past_unwanted(at, DEEPEST)
            elif not self.is_binary or binary_size[0] >= 0:
                return NULL
            else:
                at = past_integer(at, binary_size)
                if binary_size[0] < 0:
                    return NULL
            if at == NULL:
                return NULL
            at = past_blanks(at)
            if at[0] != b",":
                return at + 1 if at[0] == b"}" else NULL

    cdef const char* _past_data(self, const char* at, int kind, const char* shape) except? NULL:
        """Read the numbers of a tensor of this shape."""
        if self._make_room(kind, shape):
            return self._past_numbers(at, kind, &self.axes)
        return NULL

    cdef bint _make_room(self, int kind, const char* at) except -1:
        """Read the shape of a tensor, and make room for as many instances or predictions as it holds, if any.

        A shape is that of one, whole or flat, or has an axis before it.
        """
        cdef vector[Py_ssize_t]* one = &self.shapes[kind]
        cdef Numbers* numbers = &self.numbers[kind]
        cdef int64_t length
        cdef Py_ssize_t skipped, n_axes
        if at[0] != b"[":
            return False
        self.axes.clear()
        while at[0] != b"]":
            at = past_integer(past_blanks(at + 1), &length)
            if at == NULL or length <= 0:
                return False
            at = past_blanks(at)
            self.axes.push_back(length)
        for skipped in range(2):
            n_axes = self.axes.size() - skipped
            if (n_axes == 1 and self.axes[skipped] == numbers.size) or (
                n_axes == <Py_ssize_t>one.size()
                and memcmp(&self.axes[skipped], one.data(), n_axes * sizeof(Py_ssize_t)) == 0
            ):
                numbers.count = self.axes[0] if skipped else 1
                # A number takes a byte at least; who says that there are more is not believed.
                if numbers.count > (self.after - self.start) // numbers.size:
                    return False
                if self.filled + numbers.count > self.capacity:
                    self._grow(numbers.count)
                return True
        return False

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
