"""Inference events as columns: the one shape that every codec produces and the pipeline consumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import compress

import numpy as np
import numpy.typing as npt

from streams.records import RecordBatch


class RejectReason(str, Enum):
    """Why an event could not be read or scored; the value of the dead letter's reason header."""

    UNDECODABLE = "undecodable"
    """The bytes are not in the format that the config names."""
    MISSING_FIELD = "missing_field"
    """A required field is not there."""
    WRONG_SHAPE = "wrong_shape"
    """The instance or prediction has another shape than the detector's."""
    WRONG_DTYPE = "wrong_dtype"
    """A value is not of the type that belongs there, such as text among the numbers."""
    NOT_FINITE = "not_finite"
    """A number is NaN or infinite, or becomes infinite as float32."""
    NOT_A_DISTRIBUTION = "not_a_distribution"
    """The prediction has a negative entry or does not sum to 1 within 1e-3."""
    TOO_LARGE = "too_large"
    """The value has more bytes than the config allows."""
    UNKNOWN_MODEL = "unknown_model"
    """No monitor of this topic watches events of this model, key, header or field."""
    UNPAIRED = "unpaired"
    """One half of an event, which came when the other had waited for it in vain."""


@dataclass(frozen=True)
class RejectedEvent:
    """One record that goes to the dead-letter topic.

    Attributes
    ----------
    row
        Position of the record in its ``RecordBatch``.
    reason
        The class of the fault, for metrics and routing.
    detail
        One sentence that says what was found and what would be right.
    """

    row: int
    reason: RejectReason
    detail: str


@dataclass(frozen=True)
class EventFields:
    """Where an event keeps its parts: dotted paths, such as ``payload.features``."""

    instance: str = "instance"
    prediction: str = "prediction"
    id: str = "id"
    time: str = "time"
    model: str = "model"
    segment: str = "segment"


@dataclass(frozen=True)
class EventSchema:
    """What a valid event looks like, as far as the detector behind it decides.

    Attributes
    ----------
    input_shape
        Shape of one instance.
    n_classes
        Length of one prediction.
    prediction_required
        Whether an event without a prediction is rejected (it is not when the teacher is run).
    fields
        Where the parts stand.
    max_bytes
        Size limit of one value in bytes.
    others
        Paths of further fields whose texts are wanted, for routing.
    """

    input_shape: tuple[int, ...]
    n_classes: int
    prediction_required: bool = True
    fields: EventFields = field(default_factory=EventFields)
    max_bytes: int = 1_048_576
    others: tuple[str, ...] = ()


PREDICTION_SUM_TOLERANCE = 1e-3
"""How far a prediction's sum may be from 1: float16 softmax outputs of a thousand classes still pass."""


@dataclass(frozen=True)
class EventBatch:
    """Accepted instances of a ``RecordBatch`` as columns, and the records that were rejected.

    A record may carry several instances; ``rows`` then repeats. All instances of an event are accepted or
    none is.

    Attributes
    ----------
    records
        The records that were decoded.
    rows
        Record of each instance, shape (n,), int64, never decreasing.
    instances
        float32, shape (n, *input_shape), all finite.
    predictions
        float32, shape (n, n_classes), rows are distributions, or NaN where an event needs no prediction; None
        when none does.
    times_ms
        Event times in milliseconds since 1970, shape (n,), int64; the Kafka timestamp where there is none.
    ids
        Event ids, length n, None where an event has none; or None when no event has one.
    segments
        Segment names, length n, None where an event has none; or None when no event has one.
    models
        Model names, length n, None where an event has none; or None when no event has one.
    others
        By path of ``EventSchema.others``, texts of length n, None where an event has none there.
    rejected
        Rejected records, by row.
    waiting
        Rows of records that are good but hold no instance yet, since the rest of the event is to come.
    """

    records: RecordBatch
    rows: npt.NDArray[np.int64]
    instances: npt.NDArray[np.float32]
    predictions: npt.NDArray[np.float32] | None
    times_ms: npt.NDArray[np.int64]
    ids: Sequence[str | None] | None = None
    segments: Sequence[str | None] | None = None
    models: Sequence[str | None] | None = None
    others: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    rejected: Sequence[RejectedEvent] = ()
    waiting: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: npt.NDArray[np.bool_]) -> EventBatch:
        """Return the instances that a mask of shape (n,) chooses, and none of the rejected records."""

        def column(values: Sequence[str | None] | None) -> list[str | None] | None:
            return None if values is None else list(compress(values, chosen))

        return EventBatch(
            records=self.records,
            rows=self.rows[chosen],
            instances=self.instances[chosen],
            predictions=None if self.predictions is None else self.predictions[chosen],
            times_ms=self.times_ms[chosen],
            ids=column(self.ids),
            segments=column(self.segments),
            models=column(self.models),
            others={path: list(compress(texts, chosen)) for path, texts in self.others.items()},
        )
