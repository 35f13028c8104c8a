"""Batches decoded ahead, in another process, are those that the codec decodes itself."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from streams.codecs.ahead import codec as ahead_codec
from streams.codecs.ahead import process as ahead_process
from streams.codecs.ahead.codec import AheadCodec
from streams.codecs.ahead.messages import CodecOpening
from streams.codecs.ahead.process import DecodingProcess, usable_cores
from streams.events import EventBatch, EventSchema
from streams.records import Headers, RecordBatch
from tests.records_in_memory import TIMESTAMP_MS, batch_of
from tests.workers import wait_until

SCHEMA = EventSchema(input_shape=(3,), n_classes=2, others=("tag",))
OPENINGS = {
    "json": CodecOpening("json", SCHEMA, {}),
    "msgpack": CodecOpening("msgpack", SCHEMA, {}),
    "cloudevents": CodecOpening("cloudevents", SCHEMA, {"segment_attribute": "region"}),
    "oip": CodecOpening(
        "oip",
        EventSchema(input_shape=(3,), n_classes=2),
        {"request": "request", "response": "response"},
    ),
}


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[DecodingProcess]:
    monkeypatch.setattr(ahead_codec, "LEAST_BYTES", 0)
    decoding = DecodingProcess()
    yield decoding
    decoding.close()


def opened(name: str, process: DecodingProcess) -> AheadCodec:
    codec = OPENINGS[name].open()
    return AheadCodec(codec, OPENINGS[name], codec.looks_at, process)  # type: ignore[attr-defined]


def event(number: int, **changes: Any) -> dict[str, Any]:
    good = {
        "instance": [number, 2.5, -3],
        "prediction": [0.25, 0.75],
        "id": f"ü{number}",
        "time": "2025-11-20T12:00:00.5Z",
        "segment": "eu",
        "tag": True,
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not ...}


EVENTS = [
    event(0),
    event(1, time=...),
    event(2, id=..., segment=None),
    event(3, instance=[1, 2]),
    event(4, prediction=[1, 1]),
    event(5, time="soon"),
    event(6, tag="x"),
]


def records(name: str) -> RecordBatch:
    """Good and bad events, a tombstone and an empty value in a format."""
    headers: list[Headers | None] | None = None
    if name == "msgpack":
        values = [msgpack.packb(told) for told in EVENTS]
    elif name == "oip":
        values = [json.dumps(inference(number)).encode() for number in range(5)]
    else:
        values = [json.dumps(told).encode() for told in EVENTS]
    if name == "cloudevents":
        headers = [
            [("ce_id", b"%d" % row), ("ce_region", b"eu"), ("ce_type", b"t"), ("ce_source", b"s")]
            for row in range(len(values))
        ]
        headers[1] = [("ce_id", b"1"), ("ce_time", b"2025-11-20T12:00:00Z")]
        structured = {"id": "s", "type": "t", "source": "s", "data": EVENTS[0]}
        values.append(json.dumps(structured).encode())
        headers += [[], [], None]
    return batch_of([*values, None, b""], headers)


def inference(number: int) -> dict[str, Any]:
    features = [number, 2, 3] if number else ["a", 2, 3]
    return {
        "id": str(number),
        "request": {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": features}]},
        "response": {"outputs": [{"name": "p", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0.5]}]},
    }


def told(batch: EventBatch) -> dict[str, Any]:
    """All that a batch says, with numbers bit for bit."""
    return {
        "records": batch.records,
        "rows": batch.rows.tolist(),
        "instances": (batch.instances.dtype, batch.instances.shape, batch.instances.tobytes()),
        "predictions": None if batch.predictions is None else batch.predictions.tobytes(),
        "times_ms": batch.times_ms.tolist(),
        "ids": batch.ids,
        "segments": batch.segments,
        "models": batch.models,
        "others": dict(batch.others),
        "rejected": list(batch.rejected),
        "waiting": list(batch.waiting),
    }


def begun(codec: AheadCodec, batch: RecordBatch) -> None:
    wait_until("the process to be ready", lambda: codec.begin(batch) or None, 60)


@pytest.mark.parametrize("name", OPENINGS)
def test_what_is_decoded_ahead_is_what_the_codec_decodes(name: str, process: DecodingProcess):
    codec, batch = opened(name, process), records(name)
    begun(codec, batch)
    ahead = codec.decode(batch)

    plain = OPENINGS[name].open().decode(batch)
    assert told(ahead) == told(plain)
    assert 0 < len(plain.rows) < len(batch)
    assert process.pid is not None


def test_an_event_without_a_time_has_its_records_timestamp(process: DecodingProcess):
    codec, batch = opened("json", process), records("json")
    begun(codec, batch)

    assert codec.decode(batch).times_ms.tolist() == [
        1_763_640_000_500,
        TIMESTAMP_MS,
        *[1_763_640_000_500] * 2,
    ]


def test_batches_are_told_apart(process: DecodingProcess):
    first, second, third = (batch_of([json.dumps(event(n)).encode()]) for n in range(3))
    json_codec, msgpack_codec = opened("json", process), opened("msgpack", process)
    begun(json_codec, first)
    assert json_codec.begin(second)

    assert json_codec.decode(first).ids == ["ü0"]
    assert json_codec.decode(second).ids == ["ü1"]
    # The earliest of three is forgotten, and so is one that nobody asks for.
    assert json_codec.begin(first)
    assert json_codec.begin(second)
    assert json_codec.begin(third)
    assert [json_codec.decode(batch).ids for batch in (first, third, second)] == [["ü0"], ["ü2"], ["ü1"]]
    # Another codec's answer for the same records is not taken for one's own.
    assert json_codec.begin(first)
    assert msgpack_codec.decode(first).rejected
    assert json_codec.decode(first).ids == ["ü0"]


def test_a_small_batch_is_not_worth_another_process():
    decoding = DecodingProcess()
    codec = opened("json", decoding)

    assert not codec.begin(records("json"))
    assert decoding.pid is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_worker_decodes_itself_when_the_process_does_not_answer(
    number: int, process: DecodingProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(ahead_process, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(ahead_process, "END_SECONDS", 0.2)
    codec, batch = opened("json", process), records("json")
    begun(codec, batch)
    codec.decode(batch)
    assert process.pid is not None
    os.kill(process.pid, number)
    codec.begin(batch)
    with caplog.at_level(logging.WARNING):
        after = codec.decode(batch)

    assert told(after) == told(OPENINGS["json"].open().decode(batch))
    assert not codec.begin(batch)
    assert process.pid is None
    (warning,) = (record.message for record in caplog.records)
    assert "The worker decodes all itself" in warning


def test_the_worker_decodes_itself_what_the_process_cannot(process: DecodingProcess):
    class Own:
        looks_at = ("values",)

        def decode(self, records: RecordBatch) -> EventBatch:
            return OPENINGS["json"].open().decode(records)

    unknown = CodecOpening("known to nobody else", SCHEMA, {})
    codec, batch = AheadCodec(Own(), unknown, Own.looks_at, process), records("json")  # type: ignore[arg-type]
    begun(codec, batch)

    assert told(codec.decode(batch)) == told(Own().decode(batch))
    assert codec.begin(batch), "the process serves others as before"


def test_the_process_ends_with_the_worker_however_that_ends(tmp_path: Path):
    program = """if True:
        import os, signal, time
        from streams.codecs.ahead.process import DecodingProcess
        decoding = DecodingProcess()
        while not decoding._is_ready():
            time.sleep(0.01)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(decoding.pid, number)
        print(decoding.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    # A module of a common name in the working directory is nobody's business.
    (tmp_path / "streams.py").write_text("raise ImportError")
    (tmp_path / "json.py").write_text("raise ImportError")
    root = str(Path(__file__).parents[3])
    ended = subprocess.run(
        [sys.executable, "-P" if sys.version_info >= (3, 11) else "-B", "-c", program],
        cwd=root if sys.version_info < (3, 11) else tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        check=False,
    )

    assert ended.returncode == -signal.SIGKILL
    pid = int(ended.stdout)
    wait_until("the process to end", lambda: not is_running(pid) or None, 30)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and that nobody has asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_closing_ends_the_process(process: DecodingProcess):
    codec, batch = opened("json", process), records("json")
    begun(codec, batch)
    pid = process.pid
    assert pid is not None
    process.close()

    assert not is_running(pid)
    assert codec.decode(batch).ids == OPENINGS["json"].open().decode(batch).ids
    assert np.isfinite(usable_cores())
