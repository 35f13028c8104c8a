"""Valid records of every format, most of them as producers' own libraries write them."""

from __future__ import annotations

import io
import json
from typing import Any, NamedTuple

import fastavro
import msgpack
import numpy as np

from streams.records import Headers
from streams.registry.client import JSON, RegisteredSchema
from tests.producer_samples import SAMPLES, sample

SHAPE = (3,)
"""Of all instances here; two classes."""
INSTANCE, PREDICTION = [1.0, 2.5, -3.0], [0.25, 0.75]
PLAIN = {"instance": INSTANCE, "prediction": PREDICTION}
FULL = {**PLAIN, "id": "6f1c", "time": "2026-11-20T12:00:00Z", "model": "m", "segment": "eu"}
EVENTS: list[dict[str, Any]] = [
    PLAIN,
    FULL,
    {**FULL, "id": 7, "time": 1_763_640_000_000, "tag": True},
    {**FULL, "model": None, "segment": None, "more": {"a": [1, {"b": None}]}, "tag": "ü"},
]


class Seed(NamedTuple):
    """A valid record."""

    value: bytes
    headers: Headers


def json_seeds() -> list[Seed]:
    """Events in JSON."""
    return [Seed(json.dumps(event).encode(), []) for event in EVENTS]


def messagepack_seeds() -> list[Seed]:
    """The same events in MessagePack."""
    return [
        Seed(msgpack.packb(event, use_single_float=single), [])
        for event in EVENTS
        for single in (False, True)
    ]


def tensor_seeds() -> list[Seed]:
    """The first event as a tensor, in several dtypes."""
    about: Headers = [("id", b"6f1c"), ("time", b"2026-11-20T12:00:00Z"), ("model", b"m"), ("segment", b"eu")]
    prediction = np.array(PREDICTION, "<f4").tobytes()
    seeds = [Seed(np.array(INSTANCE, "<f4").tobytes() + prediction, [])]
    for dtype in ("<f4", "<f8", "<f2", "|u1", "<i8"):
        value = np.abs(np.array(INSTANCE)).astype(dtype).tobytes() + prediction
        described: Headers = [("tensor-dtype", dtype.encode()), ("tensor-shape", b"3")]
        seeds.append(Seed(value, [*described, ("prediction-dtype", b"<f4"), *about]))
    return seeds


def sample_seeds(prefix: str) -> list[Seed]:
    """Golden samples whose names begin like this."""
    found = [sample(path.stem) for path in sorted(SAMPLES.glob(f"{prefix}*.json"))]
    return [Seed(golden.value, list(golden.headers)) for golden in found]


def oip_seeds() -> list[Seed]:
    """Requests with their responses."""
    halves = [sample(f"mlserver_{half}") for half in ("request", "response")]
    return [
        seed
        for prefix in ("kserve_json", "kserve_binary", "mlserver")
        for seed in sample_seeds(prefix)
        if seed.value not in [half.value for half in halves]
    ]


_FLOATS = {"type": "array", "items": "float"}
_DOUBLES = {"type": "array", "items": "double"}


def _avro_record(**fields: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "Event",
        "fields": [{"name": name, "type": kind} for name, kind in fields.items()],
    }


AVRO_SCHEMAS: dict[int, dict[str, Any]] = {
    1: _avro_record(instance=_FLOATS, prediction=_DOUBLES),
    2: _avro_record(
        id=["null", "string"],
        time={"type": "long", "logicalType": "timestamp-millis"},
        model="string",
        segment={"type": "enum", "name": "S", "symbols": ["eu", "us"]},
        instance=["null", _DOUBLES],
        prediction=_FLOATS,
        more={"type": "map", "values": ["null", "string", {"type": "array", "items": "int"}]},
    ),
    3: _avro_record(blob="bytes", instance="bytes", prediction=_FLOATS, time=["null", "string"]),
    4: _avro_record(before=["null", "Event"], instance=_FLOATS, prediction=_DOUBLES, id="long"),
}


def avro_seeds() -> list[Seed]:
    """Events that were written with each of the schemas."""
    plain = {**PLAIN, "before": None, "id": 7}
    events: dict[int, list[dict[str, Any]]] = {
        1: [PLAIN],
        2: [
            {**FULL, "time": 1_763_640_000_000, "more": {"a": None, "b": "x", "c": [1, -2]}},
            {**FULL, "time": 0, "id": None, "more": {}},
        ],
        3: [{**PLAIN, "instance": np.array(INSTANCE, "<f4").tobytes(), "blob": b"abc", "time": None}],
        4: [plain, {**plain, "before": plain}],
    }
    seeds = []
    for number, written in events.items():
        for event in written:
            buffer = io.BytesIO()
            fastavro.schemaless_writer(buffer, fastavro.parse_schema(AVRO_SCHEMAS[number]), event)
            identifier = number.to_bytes(4, "big")
            seeds.append(Seed(b"\x00" + identifier + buffer.getvalue(), []))
            seeds.append(Seed(buffer.getvalue(), [("__value_schema_id", b"\x00" + identifier)]))
    return seeds


JSON_SCHEMAS = {1: RegisteredSchema(JSON, "{}"), 2: RegisteredSchema("AVRO", '"string"')}


def json_schema_seeds() -> list[Seed]:
    """JSON behind the id of its schema, or with the id in a header."""
    framed = [Seed(b"\x00\x00\x00\x00\x01" + seed.value, []) for seed in json_seeds()]
    named: Headers = [("__value_schema_id", b"\x00\x00\x00\x00\x01")]
    return [*framed, *(Seed(seed.value, named) for seed in json_seeds())]
