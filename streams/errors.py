"""What can go wrong in the pipes: one root, named children."""

from __future__ import annotations


class StreamError(Exception):
    """Root of every error raised by ``streams``; its message is one sentence fit for an operator."""


class CodecError(StreamError):
    """A codec is unknown or its options are wrong (never raised for a single bad event)."""


class KafkaError(StreamError):
    """The broker refused something or could not be reached."""


class KafkaUnavailableError(KafkaError):
    """The broker cannot answer right now; the same call may succeed later."""


class RedisError(StreamError):
    """Redis refused something or could not be reached."""


class SchemaRegistryError(StreamError):
    """The schema registry refused something, or what answers at its address is none."""


class SchemaRegistryUnavailableError(SchemaRegistryError):
    """The schema registry cannot answer right now; the same call may succeed later."""


class StateError(StreamError):
    """The state found in Redis cannot be what this software wrote."""
