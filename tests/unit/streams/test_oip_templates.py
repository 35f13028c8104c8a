"""Events that are read by what they share with one read before get the answer they get alone."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest

from streams.codecs.oip.codec import OipCodec
from streams.codecs.oip.reader import OipReader
from streams.codecs.oip.templates import learnt_template
from streams.events import EventBatch, EventFields, EventSchema, RejectedEvent
from streams.records import Headers, RecordBatch
from tests.records_in_memory import batch_of

SCHEMA = EventSchema(input_shape=(3,), n_classes=2)
ROUTED = EventSchema(input_shape=(3,), n_classes=2, fields=EventFields(segment="tenant"), others=("site",))


def event(number: int, **changed: Any) -> dict[str, Any]:
    described = {
        "id": f"event {number} é",
        "time": f"2026-11-20T12:00:{number % 60:02}Z",
        "model_name": "m",
        "tenant": f"tenant {number % 3}",
        "site": f"site {number % 2}",
        "trace": f"{number}",
    }
    data = [number / 8, -number, 1e-3]
    tensors = {
        "inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [data]}],
        "outputs": [{"name": "p", "shape": [1, 2], "datatype": "FP64", "data": [0.25, 0.75]}],
    }
    return described | tensors | changed


def plain(number: int, **changed: Any) -> bytes:
    return json.dumps(event(number, **changed), ensure_ascii=False).encode()


def read(values: list[bytes], schema: EventSchema, learn_first: bool) -> EventBatch:
    codec = OipCodec(schema)
    if learn_first:
        codec.decode(batch_of([plain(number) for number in range(900, 910)]))
    return codec.decode(batch_of(values))


def same(one: EventBatch, other: EventBatch) -> None:
    assert one.rows.tolist() == other.rows.tolist()
    assert list(one.rejected) == list(other.rejected)
    assert one.instances.tobytes() == other.instances.tobytes()
    assert one.predictions is not None
    assert other.predictions is not None
    assert one.predictions.tobytes() == other.predictions.tobytes()
    assert one.times_ms.tolist() == other.times_ms.tolist()
    for texts in ("ids", "models", "segments"):
        assert list(getattr(one, texts) or []) == list(getattr(other, texts) or [])
    assert {path: list(texts) for path, texts in one.others.items()} == {
        path: list(texts) for path, texts in other.others.items()
    }


@pytest.mark.parametrize("schema", [SCHEMA, ROUTED])
def test_events_that_look_alike_are_read_as_before(schema: EventSchema) -> None:
    values = [plain(number) for number in range(600)]
    alike = read(values, schema, learn_first=True)

    same(alike, read(values, schema, learn_first=False))
    assert alike.ids is not None
    assert (len(alike), alike.ids[7]) == (600, "event 7 é")


INSTANCE = [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [[1, 2, 3]]}]


@pytest.mark.parametrize(
    "odd",
    [
        plain(1).replace(b"0.001", b"NaN"),
        plain(1).replace(b"0.001", b"1e999"),
        plain(1).replace(b"0.001", b'"1"'),
        plain(1).replace(b"0.001", b"[1]"),
        plain(1).replace(b"0.001", b"1,2"),
        plain(1).replace(b"0.001", b""),
        plain(1).replace(b"0.001", b"{}"),
        plain(1).replace(b"0.001", b"true"),
        plain(1).replace(b"0.001", b"01"),
        plain(1).replace(b"0.75", b"0.5"),
        plain(1).replace(b"event 1", b"event \\u00e9"),
        plain(1).replace(b"event 1", b"event \\"),
        plain(1).replace(b"event 1", b"event \n"),
        plain(1).replace(b"event 1", b"event \xff"),
        plain(1).replace(b'"trace": "1', b'"trace": "\xff'),
        plain(1).replace(b'"trace": "1', b'"trace": "\\ud800'),
        plain(1).replace(b'"trace": "1', b'"trace": "", "id": "twice'),
        plain(1).replace(b"12:00:01Z", b"25:00:00Z"),
        plain(1).replace(b"12:00:01Z", b""),
        plain(1).replace(b"FP32", b"FP99"),
        plain(1, id=5),
        plain(1, outputs=[]),
        plain(1, inputs=INSTANCE * 2),
        plain(1) + b" ",
        b"",
    ],
)
def test_an_odd_event_among_them_is_judged_as_alone(odd: bytes) -> None:
    values = [plain(number) for number in range(300)]
    values[150] = odd
    values[290] = odd
    batch = read(values, ROUTED, learn_first=True)

    same(batch, read(values, ROUTED, learn_first=False))
    alone = OipCodec(ROUTED).decode(batch_of([odd]))
    assert [(one.reason, one.detail) for one in batch.rejected] == [
        (one.reason, one.detail) for one in alone.rejected
    ] * 2


def test_a_name_that_chooses_a_tensor_is_looked_at_in_every_event() -> None:
    def two(number: int, other: str) -> bytes:
        more = {"name": other, "shape": [1], "datatype": "INT64", "data": [4]}
        inputs = event(number)["inputs"]
        return json.dumps(event(number, inputs=[*inputs, more])).encode()

    codec = OipCodec(SCHEMA, input_tensor="x")
    assert len(codec.decode(batch_of([two(number, "y") for number in range(20)]))) == 20
    assert len(codec.decode(batch_of([two(number, "y") for number in range(20)]))) == 20
    refused = codec.decode(batch_of([two(1, "x"), two(2, "z")]))
    assert ([one.row for one in refused.rejected], refused.rows.tolist()) == ([0], [1])


def test_two_producers_and_strangers_are_told_apart() -> None:
    def other(number: int) -> bytes:
        return json.dumps(event(number), separators=(",", ":")).encode()

    rng = random.Random(3)
    writers = [plain, other, lambda number: plain(number, model_name=None), lambda number: b"{}"]
    codec = OipCodec(ROUTED)
    for _ in range(6):
        values = [rng.choice(writers)(number) for number in range(400)]
        same(codec.decode(batch_of(values)), OipCodec(ROUTED).decode(batch_of(values)))


@pytest.mark.parametrize("seed", range(5))
def test_damaged_events_get_the_answer_of_the_exact_reader(seed: int) -> None:
    rng = random.Random(seed)
    values = []
    for number in range(400):
        value = bytearray(plain(number))
        if rng.random() < 0.3:
            at = rng.randrange(len(value))
            value[at : at + rng.randrange(3)] = rng.choice(
                [b'"', b"]", b"[", b",", b"1", b"\\", b"", b"e", b"\xff", b" "]
            )
        values.append(bytes(value))
    batch = read(values, ROUTED, learn_first=True)
    same(batch, read(values, ROUTED, learn_first=False))
    assert isinstance(batch.rejected[0], RejectedEvent)


def test_what_a_template_would_not_tell_from_its_trials_is_not_learnt() -> None:
    fields = EventFields(instance="inputs", prediction="outputs", id="id", model="model_name")
    reader = OipReader(EventSchema((3,), 2, fields=fields), input_tensor=None, output_tensor=None)

    assert learnt_template(plain(1), reader.read) is not None
    for odd in ({"id": "2001-02-03T04:05:06Z"}, {"time": 981_173_106_000}, {"trace": "\\"}):
        assert learnt_template(plain(1, **odd), reader.read) is None


def test_nested_images_are_read_as_before() -> None:
    schema = EventSchema(input_shape=(2, 2), n_classes=2)
    inputs = [{"name": "x", "shape": [1, 2, 2], "datatype": "FP32", "data": [[[1, 2], [3, 4]]]}]
    codec = OipCodec(schema)
    for _ in range(2):
        batch = codec.decode(batch_of([plain(number, inputs=inputs) for number in range(20)]))
        np.testing.assert_array_equal(batch.instances, [[[1, 2], [3, 4]]] * 20)


def test_events_with_binary_data_are_neither_learnt_from_nor_taken_for_known_ones() -> None:
    def binary(number: int) -> tuple[bytes, list[tuple[str, bytes | None]]]:
        described = event(number)
        described["inputs"][0] |= {"parameters": {"binary_data_size": 12}}
        del described["inputs"][0]["data"]
        header = json.dumps(described).encode()
        told = [("Inference-Header-Content-Length", str(len(header)).encode())]
        return header + np.array([1, 2, 3], "<f4").tobytes(), told

    values, headers = zip(*map(binary, range(20)), strict=True)
    codec = OipCodec(SCHEMA)
    for _ in range(2):
        assert codec.decode(batch_of(values, headers)).instances.tolist() == [[1, 2, 3]] * 20
        mixed = codec.decode(batch_of([*values, plain(1)], [*headers, None]))
        assert (len(mixed), mixed.instances[20].tolist()) == (21, [0.125, -1, np.float32(1e-3)])


def binary(number: int, datatype: str = "FP32", **changed: Any) -> tuple[bytes, Headers]:
    """An event with its numbers behind the JSON."""
    instance = np.array([number, -2, 3], "<f4" if datatype == "FP32" else "<i8").tobytes()
    prediction = np.array([0.25, 0.75], "<f8").tobytes()
    described = [
        ("inputs", "x", [1, 3], datatype, instance),
        ("outputs", "p", [1, 2], "FP64", prediction),
    ]
    tensors = {
        key: [{"name": name, "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(data)}}]
        for key, name, shape, kind, data in described
    }
    text = json.dumps(event(number, **{**tensors, **changed}), ensure_ascii=False).encode()
    return text + instance + prediction, [("Inference-Header-Content-Length", str(len(text)).encode())]


def read_binary(records: list[tuple[bytes, Headers]], *, learn_first: bool) -> EventBatch:
    codec = OipCodec(ROUTED)
    if learn_first:
        for datatype in ("FP32", "INT64"):
            codec.decode(
                batch_of(*zip(*(binary(number, datatype) for number in range(900, 910)), strict=True))
            )
    return codec.decode(batch_of(*zip(*records, strict=True)))


def test_events_with_binary_data_that_look_alike_are_read_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [binary(number, "INT64" if number % 3 == 0 else "FP32") for number in range(300)]
    records[5] = plain(5), []
    before = read_binary(records, learn_first=False)
    unknown: list[int] = []
    decode_unknown = OipCodec._decode_unknown

    def noting(self: OipCodec, records: RecordBatch, *told: Any) -> EventBatch:
        unknown.append(len(records))
        return decode_unknown(self, records, *told)

    monkeypatch.setattr(OipCodec, "_decode_unknown", noting)
    same(read_binary(records, learn_first=True), before)
    assert (len(before), before.instances[7].tolist()) == (300, [7, -2, 3])
    assert unknown == [10, 10, 1]


@pytest.mark.parametrize(
    "odd",
    [
        (binary(1)[0] + b"\0", binary(1)[1]),
        (binary(1)[0][:-1], binary(1)[1]),
        (binary(1)[0], [("Inference-Header-Content-Length", b"7")]),
        (binary(1)[0], [("Inference-Header-Content-Length", b"many")]),
        (binary(1)[0], [("Inference-Header-Content-Length", None)]),
        (binary(1)[0], []),
        (binary(1)[0][:-16] + np.array([0.5, 0.75], "<f8").tobytes(), binary(1)[1]),
        (binary(1)[0].replace(np.float32(-2).tobytes(), np.float32("nan").tobytes()), binary(1)[1]),
        binary(1, time="noon"),
        binary(1, id=5),
        binary(1, inputs=INSTANCE),
        binary(1, inputs=INSTANCE * 2),
        binary(1, trace="\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
    ],
)
def test_an_odd_event_among_those_with_binary_data_is_judged_as_alone(odd: tuple[bytes, Headers]) -> None:
    records = [binary(number) for number in range(300)]
    records[150] = records[290] = odd
    batch = read_binary(records, learn_first=True)

    same(batch, read_binary(records, learn_first=False))
    alone = OipCodec(ROUTED).decode(batch_of([odd[0]], [odd[1]]))
    assert [(one.reason, one.detail) for one in batch.rejected] == [
        (one.reason, one.detail) for one in alone.rejected
    ] * 2


def test_events_with_binary_data_may_hold_no_text_that_differs() -> None:
    value, headers = binary(1)
    text = value[: int(headers[0][1] or b"")]
    bare = json.dumps({key: json.loads(text)[key] for key in ("inputs", "outputs")}).encode()
    records = [bare + value[len(text) :]] * 20, [[(headers[0][0], b"%d" % len(bare))]] * 20
    codec = OipCodec(SCHEMA)

    same(codec.decode(batch_of(*records)), codec.decode(batch_of(*records)))
    assert codec.decode(batch_of(*records)).instances.tolist() == [[1, -2, 3]] * 20
