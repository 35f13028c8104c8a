"""The check that every codec makes of its schema before it reads anything."""

from __future__ import annotations

from streams.errors import CodecError
from streams.events import EventSchema


def check_schema(schema: EventSchema) -> None:
    """Check that events of this schema can exist.

    Raises
    ------
    CodecError
        If an instance or a prediction would hold no number, or no value is small enough.
    """
    if not schema.input_shape or min(schema.input_shape) < 1 or schema.n_classes < 1:
        raise CodecError(
            f"Events cannot have instances of shape {schema.input_shape} and {schema.n_classes} classes; "
            "expected lengths of at least 1."
        )
    if schema.max_bytes < 1:
        raise CodecError(f"The size limit of an event is {schema.max_bytes} bytes, expected at least 1.")
