"""Names of the Kafka record headers that this software reads and writes, in one place."""

from __future__ import annotations

TENSOR_DTYPE = "tensor-dtype"
"""Dtype of the instance in a ``tensor`` event as numpy writes it: ``<f4`` (the default), ``|u1``, ``<f2``."""

TENSOR_SHAPE = "tensor-shape"
"""Shape of the instance in a ``tensor`` event, such as ``32,32,3``; the detector's when there is none."""

PREDICTION_DTYPE = "prediction-dtype"
"""Dtype of the prediction that follows the instance in a ``tensor`` event; ``<f4`` when there is none."""

EVENT_ID = "id"
EVENT_TIME = "time"
EVENT_MODEL = "model"
EVENT_SEGMENT = "segment"
"""What a ``json`` event keeps in fields of these names."""

VALUE_SCHEMA_ID = "__value_schema_id"
"""Number or GUID of the schema of the value, where clients of a schema registry put it into a header."""

RETURNED_FROM = "drift-monitor-returned-from"
"""Partition and offset, as ``3:117``, at which a request came first that no response came for: it was sent to
its topic again, to be scored without one."""

REJECT_REASON = "drift-monitor-reason"
"""Why an event was rejected: a value of ``RejectReason``."""

REJECT_DETAIL = "drift-monitor-detail"
"""One sentence about it."""

REJECT_TOPIC = "drift-monitor-topic"
REJECT_PARTITION = "drift-monitor-partition"
REJECT_OFFSET = "drift-monitor-offset"
"""Where the rejected event came from."""

REJECT_TRUNCATED = "drift-monitor-truncated"
"""Size of the original value in bytes, when it was too large to be sent on whole."""
