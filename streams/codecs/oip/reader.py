"""One event of the Open Inference Protocol read with the standard library: exact about every fault.

This is the judge of what an event means. ``OipCodec`` reads whole batches much faster and hands over every
event about which it has the slightest doubt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.codecs.event_reader import (
    checked_finite,
    in_words,
    lookup,
    numbers_of,
    refuse_absent,
    routing_text_at,
    text_at,
    time_ms_at,
)
from streams.codecs.json.reader import load_json
from streams.codecs.oip.tensors import BINARY_SIZE, DATATYPES, HEADER_LENGTH, instances_in
from streams.codecs.rejection import checked_value, refuse, shown
from streams.codecs.validation import distribution_rows, explain_not_distribution, to_float32
from streams.events import EventSchema, RejectReason

Numbers = npt.NDArray[np.float64]

LONGEST_LENGTH = 10
"""Digits of a header that tells a length."""

_KNOWN_DATATYPES = f"one of numbers: {', '.join(DATATYPES)}"


@dataclass(frozen=True)
class OipEvent:
    """An accepted event.

    Attributes
    ----------
    count
        Number of instances.
    instances
        float64, ``count`` instances one after another, flat.
    predictions
        float64, ``count`` predictions one after another, flat; None when the schema asks for none.
    id, model, segment
        Texts, None where the event has none.
    time_ms
        Milliseconds since 1970, None where the event has none.
    others
        Texts to route by, in the order of ``EventSchema.others``; None where the event has none.
    """

    count: int
    instances: Numbers
    predictions: Numbers | None
    id: str | None
    time_ms: int | None
    model: str | None
    segment: str | None
    others: Sequence[str | None]


class OipReader:
    """Reads one event at a time.

    Parameters
    ----------
    schema
        What a valid event looks like; the fields of instance and prediction are the lists of tensors.
    input_tensor, output_tensor
        Names of the tensors; None where there is to be only one.
    """

    def __init__(self, schema: EventSchema, *, input_tensor: str | None, output_tensor: str | None) -> None:
        self._schema = schema
        self._input = input_tensor
        self._output = output_tensor

    def read(self, value: bytes | None, header_length: bytes | None = None) -> OipEvent:
        """Read the value of one record.

        Parameters
        ----------
        value
            JSON, followed by binary data where ``header_length`` tells where it ends.
        header_length
            Content of the header of that name; None when the record has none.

        Raises
        ------
        BadEventError
            With the reason and one sentence for the dead letter, if the event is rejected.
        """
        schema, paths = self._schema, self._schema.fields
        given = checked_value(value, schema.max_bytes)
        length = json_length(given, header_length)
        event, constants = load_json(given[:length])
        looked_at = [paths.instance]
        if schema.prediction_required or length < len(given):
            looked_at.append(paths.prediction)
        binary = _binary_parts(event, looked_at, memoryview(given)[length:])
        count, instances = self._numbers(event, paths.instance, self._input, schema.input_shape, binary)
        predictions = None
        if schema.prediction_required:
            along = (schema.n_classes,)
            rows, predictions = self._numbers(event, paths.prediction, self._output, along, binary)
            if rows != count:
                refuse(
                    RejectReason.WRONG_SHAPE,
                    f"The output tensor holds {rows} predictions and the input tensor {count} instances,"
                    " expected one for each.",
                )
            as_float32 = to_float32(predictions).reshape(count, -1)
            for row in np.flatnonzero(~distribution_rows(as_float32)).tolist():
                detail = explain_not_distribution(f"prediction {row} of the output tensor", as_float32[row])
                refuse(RejectReason.NOT_A_DISTRIBUTION, detail)
        if constants:
            refuse(RejectReason.UNDECODABLE, f"The value is not JSON, which has no number {constants[0]}.")
        return OipEvent(
            count=count,
            instances=instances,
            predictions=predictions,
            id=text_at(event, paths.id),
            time_ms=time_ms_at(event, paths.time),
            model=text_at(event, paths.model),
            segment=text_at(event, paths.segment),
            others=[routing_text_at(event, path) for path in schema.others],
        )

    @staticmethod
    def _numbers(
        event: dict[str, Any],
        path: str,
        name: str | None,
        one: tuple[int, ...],
        binary: dict[tuple[str, int], memoryview],
    ) -> tuple[int, Numbers]:
        """Return how many instances or predictions of shape ``one`` a tensor holds, and its numbers, flat."""
        position, tensor = _chosen(event, path, name)
        what = f"{path}[{position}]"
        datatype, shape, data = (lookup(tensor, key) for key in ("datatype", "shape", "data"))
        if not isinstance(datatype, str) or datatype not in DATATYPES:
            refuse(
                RejectReason.WRONG_DTYPE,
                f"The tensor {what!r} has datatype {shown(datatype)}, expected {_KNOWN_DATATYPES}.",
            )
        expected = f"expected {list(one)}, or [n, {', '.join(map(str, one))}] for n of them"
        count = instances_in(shape, one) if isinstance(shape, list) else None
        if count is None:
            refuse(RejectReason.WRONG_SHAPE, f"The tensor {what!r} has shape {shown(shape)}, {expected}.")
        total = count * math.prod(one)
        part = binary.get((path, position))
        if part is None:
            if data is None:
                refuse(RejectReason.MISSING_FIELD, f"The tensor {what!r} has no data.")
            kinds = (bool, int, float) if datatype == "BOOL" else (int, float)
            return count, numbers_of(data, f"{what}.data", tuple(map(int, shape)), kinds=kinds)
        dtype = DATATYPES[datatype]
        if len(part) != total * dtype.itemsize:
            refuse(
                RejectReason.WRONG_SHAPE,
                f"The tensor {what!r} has {len(part)} bytes of binary data, expected"
                f" {total * dtype.itemsize} for shape {shape} of {datatype}.",
            )
        numbers = np.frombuffer(part, dtype).astype(np.float64)
        return count, checked_finite(numbers, f"{what}.data", tuple(shape))


def json_length(value: bytes, header_length: bytes | None) -> int:
    """Tell how many bytes of a value are JSON.

    Raises
    ------
    BadEventError
        If the header is no length, or tells more than there is.
    """
    if header_length is None:
        return len(value)
    if not header_length.isdigit() or len(header_length) > LONGEST_LENGTH or int(header_length) > len(value):
        refuse(
            RejectReason.UNDECODABLE,
            f"The header {HEADER_LENGTH!r} is {shown(header_length)}, expected how many of the value's"
            f" {len(value)} bytes are JSON.",
        )
    return int(header_length)


def _tensors(event: dict[str, Any], path: str) -> list[dict[str, Any]]:
    found = lookup(event, path)
    if found is None:
        refuse_absent(event, path)
    if not isinstance(found, list) or not all(isinstance(tensor, dict) for tensor in found):
        refuse(RejectReason.WRONG_DTYPE, f"The field {path!r} is {in_words(found)}, expected tensors.")
    return found


def _chosen(event: dict[str, Any], path: str, name: str | None) -> tuple[int, dict[str, Any]]:
    tensors = _tensors(event, path)
    names = [lookup(tensor, "name") for tensor in tensors]
    present = ", ".join(map(shown, names[:8])) or "none"
    if name is None and len(tensors) == 1:
        return 0, tensors[0]
    if name is None:
        refuse(
            RejectReason.MISSING_FIELD,
            f"The field {path!r} has {len(tensors)} tensors, {present}; expected one, or its name in the"
            " format's options.",
        )
    if names.count(name) != 1:
        refuse(
            RejectReason.MISSING_FIELD, f"The field {path!r} has tensors {present}, expected one {name!r}."
        )
    return names.index(name), tensors[names.index(name)]


def _binary_parts(
    event: dict[str, Any], paths: Sequence[str], rest: memoryview
) -> dict[tuple[str, int], memoryview]:
    """Cut the binary data into those of each tensor, in the order in which the tensors are described."""
    parts: dict[tuple[str, int], memoryview] = {}
    start = 0
    for path, position, size in _binary_sizes(event, paths):
        parts[path, position] = rest[start : start + size]
        start += size
    if start != len(rest):
        refuse(
            RejectReason.UNDECODABLE,
            f"The tensors name {start} bytes of binary data, but {len(rest)} follow the JSON.",
        )
    return parts


def _binary_sizes(event: dict[str, Any], paths: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    for path in paths:
        if lookup(event, path) is None:
            continue
        for position, tensor in enumerate(_tensors(event, path)):
            parameters = lookup(tensor, "parameters")
            size = parameters.get(BINARY_SIZE.decode()) if isinstance(parameters, dict) else None
            if size is None:
                continue
            if type(size) is not int or size < 0:
                refuse(
                    RejectReason.WRONG_DTYPE,
                    f"The tensor '{path}[{position}]' has {shown(size)} as its size of binary data,"
                    " expected a number of bytes.",
                )
            yield path, position, size
