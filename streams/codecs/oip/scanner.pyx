# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# distutils: language = c++
"""Events of the Open Inference Protocol, scanned as those of ``streams.codecs.json.scanner`` are.

What is rare is left alone here too: data that are no numbers, as true and false, and binary data of rarer types.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcmp, strncmp
from libcpp.vector cimport vector

from streams.codecs.json.scanner cimport (
    DEEPEST, INSTANCE, N_NUMBERS, PREDICTION, EventScanner, Numbers, closing_quote, past_blanks, past_integer,
)

cdef extern from *:
    """
    #include <cstdint>
    #include <cstring>

    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    #error "Binary tensors are read as numbers of a little-endian processor."
    #endif

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

    Datatype* datatype_named(const char* name, Py_ssize_t length) noexcept nogil

cdef enum:
    NAME, SHAPE, DATATYPE, DATA, PARAMETERS, UNKNOWN  # as in TENSOR_KEYS

cdef const char* BINARY_SIZE = b"binary_data_size"


cdef struct Behind:
    # What an event has of instances or predictions behind its JSON.
    Py_ssize_t size  # in bytes, of all tensors
    Py_ssize_t offset  # of the one that is wanted; negative if its numbers are in JSON
    Datatype* datatype


cdef inline bint is_text(const char* first, const char* last, const char* text) noexcept nogil:
    """Tell whether a text, which ends with a quote, is this one."""
    return strncmp(first, text, last - first) == 0 and text[last - first] == 0


cdef class TensorScanner(EventScanner):
    """Scans events whose numbers are tensors, in JSON or binary behind it.

    Parameters
    ----------
    wanted, shape, n_classes, max_bytes
        As ``EventScanner`` has them.
    names
        Names, in UTF-8, of the tensors that hold instances and predictions; None where there is to be only one.

    Raises
    ------
    ValueError
        If it has more keys than a scanner can look for.
    """

    cdef tuple tensor_names
    cdef vector[Py_ssize_t] axes  # of the tensor that is read
    cdef Behind[N_NUMBERS] behind

    def __init__(self, wanted, shape, n_classes, max_bytes, names):
        super().__init__(wanted, shape, n_classes, max_bytes)
        self.tensor_names = tuple(names)

    cdef bint _read_event(self) except -1:
        cdef int kind
        # Whose sizes count, if outputs are not looked at, is for others to say.
        if self.is_followed and not self.numbers[PREDICTION].size:
            return False
        for kind in range(N_NUMBERS):
            self.behind[kind].size, self.behind[kind].offset = 0, -1
        if not EventScanner._read_event(self):
            return False
        if self.numbers[PREDICTION].size and self.numbers[PREDICTION].count != self.numbers[INSTANCE].count:
            return False
        return not self.is_followed or self._take_binary()

    cdef bint _take_binary(self) noexcept nogil:
        """Take the numbers that are behind the JSON: tensors of the inputs, then those of the outputs."""
        cdef const char* at = self.end
        cdef Numbers* numbers
        cdef Behind* behind
        cdef int kind
        if self.behind[INSTANCE].size + self.behind[PREDICTION].size != self.after - at:
            return False
        for kind in range(N_NUMBERS):
            numbers, behind = &self.numbers[kind], &self.behind[kind]
            if behind.offset >= 0:
                behind.datatype.convert(
                    at + behind.offset, numbers.count * numbers.size, numbers.first + self.filled * numbers.size
                )
            at += behind.size
        return True

    cdef const char* _past_array(self, const char* at, int kind) except? NULL:
        """Read what stands at a key of numbers: of several tensors the one that is wanted."""
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
        cdef Behind* behind = &self.behind[kind]
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
            if binary_size > self.after - self.end - behind.size:
                return NULL
            behind.size += binary_size
        if is_wanted:
            n_wanted[0] += 1
            if datatype == NULL or shape == NULL:
                return NULL
            if binary_size >= 0:
                if datatype.convert == NULL or not self._make_room(kind, shape):
                    return NULL
                if binary_size != numbers.count * numbers.size * datatype.size:
                    return NULL
                behind.datatype, behind.offset = datatype, behind.size - binary_size
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
        return first[: last - first] == <bytes>self.tensor_names[kind]

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
            elif not self.is_followed or binary_size[0] >= 0:
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
                # A number takes a byte at least, and predictions are as many as instances; who says that there
                # are more than that is not believed.
                if numbers.count > (self.after - self.start) // (
                    self.numbers[INSTANCE].size + self.numbers[PREDICTION].size
                ):
                    return False
                if self.filled + numbers.count > self.capacity:
                    self._grow(numbers.count)
                return True
        return False
