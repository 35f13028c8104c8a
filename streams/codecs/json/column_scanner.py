"""JSON events of the usual kind, scanned into columns by compiled code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from streams.codecs.columnar.wanted import NUMBER_FIELDS, Wanted, name_of_other, wanted_fields
from streams.codecs.columns import EventColumns
from streams.codecs.event_fields import routing_text
from streams.codecs.event_time import times_ms
from streams.events import EventSchema

try:
    from streams.codecs.json.scanner import EventScanner
except ImportError as missing:
    MISSING: ImportError | None = missing
else:
    MISSING = None

if TYPE_CHECKING:
    from streams.codecs.json.scanner import Keys, Kind

OpenScanner: TypeAlias = Callable[["Keys", Sequence[int], int, int], "EventScanner"]
"""Makes a scanner: what is wanted, shape of an instance, length of a prediction or 0, longest value."""

log = logging.getLogger(__name__)


def column_scanner(schema: EventSchema, open_scanner: OpenScanner | None = None) -> ColumnScanner | None:
    """Return a scanner for events of a schema, see ``ColumnScanner``; None where there is none."""
    try:
        if MISSING is not None:
            raise MISSING
        return ColumnScanner(schema, open_scanner or EventScanner)
    except ImportError as missing:
        _tell_that_it_is_slow(str(missing))
    except ValueError as too_much:
        log.debug("Events are not scanned: %s.", too_much)
    return None


@cache
def _tell_that_it_is_slow(missing: str) -> None:
    log.warning(
        "JSON is decoded without the compiled scanner (%s), in two to three times the time, and events of the"
        " Open Inference Protocol in seventy times the time; where that matters, install drift-monitor anew"
        " beside a C++17 compiler and Python's headers.",
        missing,
    )


class ColumnScanner:
    """Reads the columns of all events that the scanner can read.

    Parameters
    ----------
    schema
        What a valid event looks like.
    open_scanner
        Makes what scans them.

    Raises
    ------
    ValueError
        If fields overlap, or are more than the scanner can look for.
    """

    def __init__(self, schema: EventSchema, open_scanner: OpenScanner) -> None:
        self._schema = schema
        self._kinds: list[Kind] = []
        self._column_of: dict[str, int] = {}
        keys = self._keys(wanted_fields(schema))
        n_classes = schema.n_classes if schema.prediction_required else 0
        self._scanner = open_scanner(keys, schema.input_shape, n_classes, schema.max_bytes)

    def read(
        self, values: list[bytes | None], json_lengths: npt.NDArray[np.int64] | None = None
    ) -> tuple[EventColumns, npt.NDArray[np.bool_], list[int]]:
        """Read the values of n records.

        Parameters
        ----------
        values
            What they hold.
        json_lengths
            How many bytes of each are JSON, which something else follows; negative if nothing does. Shape
            (n,).

        Returns
        -------
        columns
            Those that were read.
        good
            Which of these are known to be valid.
        left
            Rows of the others, about which nothing is said.
        """
        schema = self._schema
        rows, instances, predictions, found = self._scanner.scan(values, json_lengths)
        unread = np.ones(len(values), dtype=np.bool_)
        unread[rows] = False

        def texts(name: str) -> Sequence[str | None]:
            column = self._column_of[name]
            if self._kinds[column] == "time":
                return [routing_text(text) for text in found[column]]
            return found[column]

        times, has_time, unreadable = times_ms(found[self._column_of["time"]])
        columns = EventColumns(
            rows=rows,
            instances=instances,
            predictions=predictions if schema.prediction_required else None,
            times_ms=times,
            has_time=has_time,
            ids=texts("id"),
            segments=texts("segment"),
            models=texts("model"),
            others={path: texts(name_of_other(path)) for path in schema.others},
        )
        return columns, columns.valid_numbers() & ~unreadable, np.flatnonzero(unread).tolist()

    def _keys(self, wanted: Wanted) -> Keys:
        return [(key.encode(), *self._key(inner)) for key, inner in wanted.below.items()]

    def _key(self, wanted: Wanted) -> tuple[Kind, int, Keys]:
        numbers = NUMBER_FIELDS.intersection(wanted.fields)
        if wanted.below:
            if wanted.fields:
                raise ValueError(f"{wanted.fields} and {list(wanted.below)} below it")
            return "object", -1, self._keys(wanted)
        if numbers:
            if len(wanted.fields) > 1:
                raise ValueError(f"{wanted.fields} in one place")
            return ("instance" if "instance" in numbers else "prediction"), -1, ()
        kind: Kind = "other"
        if "time" in wanted.fields:
            kind = "time"
        elif {"id", "model", "segment"}.intersection(wanted.fields):
            kind = "text"
        self._column_of.update(dict.fromkeys(wanted.fields, len(self._kinds)))
        self._kinds.append(kind)
        return kind, len(self._kinds) - 1, ()
