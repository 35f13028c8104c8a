"""Events a second of each codec, alone and in one thread, beside those of the JSON codec.

Run as ``python -m tests.benchmarks.codecs``. Codecs take turns, each with records that were made for the
turn; the best of all rounds counts, so that whatever else the machine does disturbs all alike. Time is that
of the processor. Each event holds 30 numbers, two probabilities and an id, and a batch 5,000 records. An
event of ``pairs`` is two records, a request and a response with five headers each, in one batch or in two;
it uses a Redis that is started for it, which works at the same time and whose time stands in a column of its
own.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from itertools import chain
from typing import Any, NamedTuple

import msgpack
import numpy as np
import numpy.typing as npt
from fastavro import parse_schema, schemaless_writer

from monitor.garbage import spare_what_is_loaded
from streams.codecs.protocol import Codec, open_codec
from streams.events import EventSchema
from streams.records import Headers, RecordBatch
from streams.registry.client import RegisteredSchema
from streams.state.pair_store import PairStore
from streams.state.redis_connection import RedisConnection
from tests.records_in_memory import batch_of
from tests.schemas_in_memory import SchemasInMemory
from tests.servers.redis import RedisServer

FEATURES, CLASSES, DECIMALS, BATCH = 30, 2, 6, 5000
ATTRIBUTES = {"specversion": "1.0", "source": "/s", "type": "t", "time": "2026-11-20T12:00:00Z"}
SCHEMA = EventSchema((FEATURES,), CLASSES)

Numbers = npt.NDArray[np.float64]
Row = tuple[str, Numbers, Numbers]


class PairsCase(NamedTuple):
    """One order in which the halves of events come."""

    name: str
    together: bool
    """Whether both halves are in one batch."""


class Case(NamedTuple):
    """One way to encode an event."""

    name: str
    format: str
    options: dict[str, Any]
    encode: Callable[[Row], tuple[bytes, Headers]]


def compact(event: Any) -> bytes:
    """Write JSON without blanks."""
    return json.dumps(event, separators=(",", ":")).encode()


def plain(row: Row) -> dict[str, Any]:
    """Return a ``json`` event."""
    identifier, instance, prediction = row
    return {"id": identifier, "instance": instance.tolist(), "prediction": prediction.tolist()}


def oip(row: Row, data: Callable[[Numbers], dict[str, Any]]) -> dict[str, Any]:
    """Return an ``oip`` event with the tensors' data as ``data`` gives them."""
    identifier, *tensors = row
    described = [
        [{"name": name, "shape": [1, len(numbers)], "datatype": "FP32", **data(numbers)}]
        for name, numbers in zip(("x", "p"), tensors, strict=True)
    ]
    return {"id": identifier, "inputs": described[0], "outputs": described[1]}


def oip_binary(row: Row) -> tuple[bytes, Headers]:
    """Encode an event with its tensors behind the JSON."""
    header = compact(oip(row, lambda numbers: {"parameters": {"binary_data_size": 4 * len(numbers)}}))
    tail = b"".join(numbers.astype("<f4").tobytes() for numbers in row[1:])  # type: ignore[union-attr]
    return header + tail, [("Inference-Header-Content-Length", str(len(header)).encode())]


def cloudevents_binary(row: Row) -> tuple[bytes, Headers]:
    """Encode an event with attributes in headers."""
    attributes = ATTRIBUTES | {"id": row[0]}
    return compact(plain(row)), [(f"ce_{name}", text.encode()) for name, text in attributes.items()]


def cloudevents_structured(row: Row) -> tuple[bytes, Headers]:
    """Encode an event with attributes beside the data."""
    attributes = ATTRIBUTES | {"id": row[0]}
    return compact({**attributes, "data": plain(row)}), []


def tensor(row: Row) -> tuple[bytes, Headers]:
    """Encode an event as float32 numbers."""
    return np.concatenate(row[1:]).astype("<f4").tobytes(), [("id", row[0].encode())]


AVRO = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "instance", "type": {"type": "array", "items": "float"}},
        {"name": "prediction", "type": {"type": "array", "items": "double"}},
    ],
}
SERVICES = {"schema_registry": SchemasInMemory({1: AVRO, 2: RegisteredSchema("JSON", "{}")})}


def avro(row: Row) -> tuple[bytes, Headers]:
    """Encode an event with the number of its schema."""
    stream = BytesIO()
    schemaless_writer(stream, parse_schema(AVRO), plain(row))
    return b"\0\0\0\0\1" + stream.getvalue(), []


def msgpack_mixed(row: Row) -> tuple[bytes, Headers]:
    """Encode an event in which whole numbers are integers, as JavaScript does."""
    event = plain(row)
    return msgpack.packb({**event, "instance": [0, 1, *event["instance"][2:]]}), []


def msgpack_bytes(row: Row) -> tuple[bytes, Headers]:
    """Encode an event with the instance as float32 in a binary."""
    return msgpack.packb({**plain(row), "instance": row[1].astype("<f4").tobytes()}), []


CASES = [
    Case("json", "json", {}, lambda row: (compact(plain(row)), [])),
    Case("oip", "oip", {}, lambda row: (compact(oip(row, lambda x: {"data": x.tolist()})), [])),
    Case("oip, nested", "oip", {}, lambda row: (compact(oip(row, lambda x: {"data": [x.tolist()]})), [])),
    Case("oip, binary", "oip", {}, oip_binary),
    Case("cloudevents, binary", "cloudevents", {}, cloudevents_binary),
    Case("cloudevents, structured", "cloudevents", {}, cloudevents_structured),
    Case("avro", "avro", {}, avro),
    Case("json_schema", "json_schema", {}, lambda row: (b"\0\0\0\0\2" + compact(plain(row)), [])),
    Case("msgpack, float64", "msgpack", {}, lambda row: (msgpack.packb(plain(row)), [])),
    Case("msgpack, mixed", "msgpack", {}, msgpack_mixed),
    Case("msgpack, bytes", "msgpack", {}, msgpack_bytes),
    Case("tensor", "tensor", {}, tensor),
]
"""All codecs; the first is what the others are compared with."""


def rows() -> Iterator[Row]:
    """Draw the events of a batch."""
    rng = np.random.default_rng(1)
    for number, instance in enumerate(np.round(rng.normal(size=(BATCH, FEATURES)), DECIMALS)):
        yield f"event-{number}", instance, np.array([0.25, 0.75])


PAIRS = [PairsCase("pairs, in one batch", True), PairsCase("pairs, in two batches", False)]


def halves(row: Row, number: int) -> list[tuple[bytes, Headers]]:
    """Encode both halves of an event, as KServe's logger does."""
    event = oip(row, lambda numbers: {"data": numbers.tolist()})
    of_kind = {"request": {"inputs": event["inputs"]}, "response": {"outputs": event["outputs"]}}
    return [
        (
            compact(data),
            [
                (f"ce_{name}", text.encode())
                for name, text in {**ATTRIBUTES, "id": f"{row[0]}-{number}", "type": f"x.{kind}"}.items()
            ],
        )
        for kind, data in of_kind.items()
    ]


def read_columns(records: RecordBatch) -> None:
    """Read columns before the clock runs, since these records are slower to ask than confluent-kafka's."""
    assert all(map(len, (records.values, records.headers, records.partitions, records.offsets)))


class PairsBench:
    """Pairs beside a Redis of their own."""

    def __init__(self) -> None:
        self._redis = RedisServer().start()
        self._client = self._redis.client()
        self._connection = RedisConnection(self._redis.url)
        services = {"pairs": PairStore(self._connection, "drift")}
        self._codecs = {case: open_codec("pairs", SCHEMA, {}, services) for case in PAIRS}
        self._turns = 0

    def turn(self, case: PairsCase, drawn: list[Row]) -> tuple[float, float]:
        """Return the seconds that the codec and that Redis work; ids differ from turn to turn, as in life."""
        self._turns += 1
        pairs = [halves(row, self._turns) for row in drawn]
        order = chain(*pairs) if case.together else chain(*zip(*pairs, strict=True))
        records = list(order)
        starts = range(0, len(records), BATCH)
        batches = [batch_of(*zip(*records[at : at + BATCH], strict=True), at) for at in starts]
        for batch in batches:
            read_columns(batch)
        spare_what_is_loaded()
        of_redis, started = self._of_redis(), time.process_time()
        complete = sum(len(self._codecs[case].decode(batch)) for batch in batches)
        seconds = time.process_time() - started
        assert complete == BATCH
        return seconds, self._of_redis() - of_redis

    def close(self) -> None:
        """Stop Redis."""
        self._connection.close()
        self._client.close()
        self._redis.close()

    def _of_redis(self) -> float:
        used = self._client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def measure(rounds: int) -> dict[str, tuple[float, float]]:
    """Return the least seconds that each codec, and that Redis needs for a batch."""
    drawn = list(rows())
    encoded = {case.name: [case.encode(row) for row in drawn] for case in CASES}
    codecs: dict[str, Codec] = {
        case.name: open_codec(case.format, SCHEMA, case.options, SERVICES) for case in CASES
    }
    least: dict[str, tuple[float, float]] = {}

    def note(name: str, *seconds: float) -> None:
        known = least.get(name, seconds)
        least[name] = min(known[0], seconds[0]), min(known[1], seconds[1])

    with closing(PairsBench()) as pairs:
        for _ in range(rounds):
            for name, codec in codecs.items():
                # Copies, since those that come from Kafka are new to the processor too.
                records = batch_of(*zip(*[(bytes(bytearray(v)), h) for v, h in encoded[name]], strict=True))
                read_columns(records)
                spare_what_is_loaded()
                started = time.process_time()
                batch = codec.decode(records)
                seconds = time.process_time() - started
                assert len(batch) == BATCH, batch.rejected[:1]
                note(name, seconds, 0.0)
            for case in PAIRS:
                note(case.name, *pairs.turn(case, drawn))
    return least


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    least = measure(parser.parse_args().rounds)
    yardstick = least[CASES[0].name][0]
    print(f"{'codec':26} {'records/s':>10} {'of json':>8} {'us an event':>12} {'us of Redis':>12}")
    for name, (seconds, of_redis) in least.items():
        micros, its_micros = seconds / BATCH * 1e6, of_redis / BATCH * 1e6
        records = 2 if of_redis else 1
        rate, share = records * BATCH / seconds, records * yardstick / seconds
        line = f"{name:26} {rate:10,.0f} {share:8.2f} {micros:12.2f}"
        print(line + (f" {its_micros:12.2f}" if of_redis else ""))


if __name__ == "__main__":
    main()
