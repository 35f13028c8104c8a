"""Requests and responses as records of their own, as KServe's logger publishes them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from streams.records import Headers


class HalfRecord(NamedTuple):
    """A request or a response."""

    value: bytes
    headers: Headers


def halves_of(identifier: str, instance: np.ndarray, prediction: np.ndarray) -> tuple[HalfRecord, HalfRecord]:
    """Return the request and the response of an event in the Open Inference Protocol."""
    return (
        _half("request", identifier, {"inputs": [_tensor("inputs", instance)]}),
        _half("response", identifier, {"outputs": [_tensor("outputs", prediction)]}),
    )


def _half(kind: str, identifier: str, data: dict[str, Any]) -> HalfRecord:
    attributes = [("ce_id", identifier.encode()), ("ce_type", f"x.{kind}".encode())]
    return HalfRecord(json.dumps(data).encode(), attributes)


def _tensor(name: str, numbers: np.ndarray) -> dict[str, Any]:
    return {"name": name, "shape": [1, len(numbers)], "datatype": "FP32", "data": numbers.tolist()}
