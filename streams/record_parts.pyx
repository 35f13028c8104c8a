# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: language = c++
"""Parts of records, taken out and put together; ``streams.plain_parts`` does the same in Python."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy
from libcpp.string cimport string

cdef extern from *:
    """
    #include <charconv>
    #include <cstdint>

    #if defined(__GNUC__)
    #define FETCH(address) __builtin_prefetch(address)
    #else
    #define FETCH(address)
    #endif

    static int write_place(char *text, size_t size, std::int32_t partition, std::int64_t offset) {
        char *const colon = std::to_chars(text, text + size / 2, partition).ptr;
        *colon = ':';
        return (int)(std::to_chars(colon + 1, text + size, offset).ptr - text);
    }

    /* Headers are many small objects all over the memory. Each step of the way to those of a record is asked
       for while records before it are looked at. */
    static void fetch_ahead(PyObject *headers, Py_ssize_t row) {
        const Py_ssize_t n = PyList_GET_SIZE(headers);
        if (row + 9 < n)
            FETCH(PyList_GET_ITEM(headers, row + 9));
        if (row + 6 < n) {
            PyObject *told = PyList_GET_ITEM(headers, row + 6);
            if (PyList_Check(told))
                FETCH(((PyListObject *)told)->ob_item);
        }
        if (row + 4 < n) {
            PyObject *told = PyList_GET_ITEM(headers, row + 4);
            if (PyList_Check(told))
                for (Py_ssize_t at = 0; at < PyList_GET_SIZE(told); ++at)
                    FETCH(PyList_GET_ITEM(told, at));
        }
        if (row + 2 < n) {
            PyObject *told = PyList_GET_ITEM(headers, row + 2);
            if (PyList_Check(told))
                for (Py_ssize_t at = 0; at < PyList_GET_SIZE(told); ++at) {
                    PyObject *header = PyList_GET_ITEM(told, at);
                    if (PyTuple_Check(header) && PyTuple_GET_SIZE(header) == 2) {
                        FETCH(PyTuple_GET_ITEM(header, 0));
                        FETCH(PyTuple_GET_ITEM(header, 1));
                    }
                }
        }
    }
    """
    void fetch_ahead(list headers, Py_ssize_t row)
    int write_place(char* text, size_t size, int32_t partition, int64_t offset)


def header_columns(list headers, tuple names):
    """Return the contents of headers of these names, a list of length n for each; None where there is none."""
    cdef Py_ssize_t row, at, n_names = len(names)
    cdef list columns = [[None] * len(headers) for _ in names]
    cdef str name
    for row in range(len(headers)):
        fetch_ahead(headers, row)
        for name, content in headers[row]:
            for at in range(n_names):
                if name == <str>names[at]:
                    (<list>columns[at])[row] = content
    return columns


def places(const int32_t[:] partitions, const int64_t[:] offsets):
    """Return where n records stand, such as ``3:17``."""
    cdef Py_ssize_t row
    cdef char[48] text
    cdef list found = [None] * len(offsets)
    if len(partitions) != len(offsets):
        raise ValueError(f"{len(partitions)} partitions and {len(offsets)} offsets")
    for row in range(len(offsets)):
        found[row] = text[: write_place(text, sizeof(text), partitions[row], offsets[row])].decode("ascii")
    return found


def packed(list keys, list headers, list values, head_of):
    """Return n records as bytes: of each how many, and all of them.

    ``head_of`` gives what a record with headers of certain names begins with.
    """
    cdef string whole
    cdef size_t start
    cdef list lengths = []
    cdef tuple names = ()
    cdef bytes head = head_of(names)
    cdef Py_ssize_t row
    if not len(keys) == len(headers) == len(values):
        raise ValueError(f"{len(keys)} keys, {len(headers)} headers and {len(values)} values")
    for row in range(len(keys)):
        fetch_ahead(headers, row)
        told = headers[row]
        if not have_names(told, names):
            names = tuple([name for name, _ in told])
            head = head_of(names)
        start = whole.size()
        append(whole, head)
        append_length(whole, keys[row])
        for _, content in told:
            append_length(whole, content)
        append(whole, keys[row])
        for _, content in told:
            append(whole, content)
        append(whole, values[row])
        lengths.append(whole.size() - start)
    return lengths, PyBytes_FromStringAndSize(whole.data(), whole.size())


cdef bint have_names(list headers, tuple names) except -1:
    cdef Py_ssize_t at
    cdef str name
    if len(headers) != len(names):
        return False
    for at in range(len(names)):
        name = headers[at][0]
        if name != <str>names[at]:
            return False
    return True


cdef int append(string& whole, bytes part) except -1:
    if part is not None:
        whole.append(PyBytes_AS_STRING(part), PyBytes_GET_SIZE(part))
    return 0


cdef int append_length(string& whole, bytes part) except -1:
    cdef int32_t length = -1 if part is None else PyBytes_GET_SIZE(part)
    whole.append(<const char*>&length, sizeof(length))
    return 0


def unpacked(list contents, tuple names, names_of):
    """Return headers of these names, a list for each, and the values of packed records.

    ``names_of`` reads the names of headers in what a record begins with.

    Raises
    ------
    ValueError
        If one is no packed record.
    """
    cdef dict columns = {name: [None] * len(contents) for name in names}
    cdef list values = [None] * len(contents), wanted = []
    cdef bytes content, head = None
    cdef const char* lengths
    cdef const char* at
    cdef const char* end
    cdef int32_t length
    cdef Py_ssize_t row, number, n_lengths = 0
    for row in range(len(contents)):
        content = contents[row]
        if head is None or not content.startswith(head):
            head = content[: content.index(b"\n") + 1]
            there = names_of(head)
            n_lengths = 1 + len(there)
            wanted = [None, *map(columns.get, there)]
        lengths = PyBytes_AS_STRING(content) + len(head)
        end = PyBytes_AS_STRING(content) + len(content)
        at = lengths + n_lengths * <Py_ssize_t>sizeof(length)
        for number in range(n_lengths if at <= end else 0):
            memcpy(&length, lengths + number * sizeof(length), sizeof(length))
            column = wanted[number]
            if column is not None:
                (<list>column)[row] = None if length < 0 else at[: min(length, end - at)]
            at += max(length, 0)
            if at > end:
                break
        if at > end:
            raise ValueError(f"{content[:80]!r} is no packed record.")
        values[row] = at[: end - at]
    return [columns[name] for name in names], values
