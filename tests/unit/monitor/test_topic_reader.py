"""Which monitors get which events of a topic, with real codecs and a real detector."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.config import MonitorConfig
from monitor.errors import ConfigError
from monitor.stages import Stages
from monitor.stores.in_redis import RedisStores
from monitor.topic_reader import Reading, TopicReader
from monitor.watch import Watch, open_watches
from streams.encoding import encode_tensor
from streams.events import RejectReason
from streams.records import Headers, RecordBatch
from streams.state.redis_connection import RedisConnection
from tests.records_in_memory import InMemoryRecord
from tests.traffic import TinyDetector


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def watches(tiny: TinyDetector) -> Any:
    """Make monitors named by the keywords, each with these changes to its config; Redis is not asked."""

    def make(**monitors: dict[str, Any]) -> list[Watch]:
        configs = [
            MonitorConfig.model_validate(
                {
                    "name": name,
                    "detector": str(tiny.path),
                    "window": {"size": 20},
                    "alerts": {"topic": "alerts"},
                    "dead_letters": {"topic": changes.pop("dead_letters", "rejected")},
                    **changes,
                    "input": {"topic": "events", **changes.get("input", {})},
                }
            )
            for name, changes in monitors.items()
        ]
        nowhere = RedisStores(RedisConnection("redis://127.0.0.1:1"), "drift")
        return open_watches(configs, nowhere, _send_nothing, state=None)

    return make


def _send_nothing(*_: object) -> Any:
    raise AssertionError("nothing is judged here")


def event(tiny: TinyDetector, row: int = 0, **more: Any) -> bytes:
    events = tiny.calm(10, seed=5)
    numbers = {"instance": events.instances[row].tolist(), "prediction": events.predictions[row].tolist()}
    return json.dumps({**numbers, **more}).encode()


def batch(*records: tuple[bytes, bytes | None, Headers]) -> RecordBatch:
    """Records of a value, a key and headers each, at offsets from 100 on."""
    return RecordBatch(
        "events",
        [InMemoryRecord(value, key, headers, 100 + row) for row, (value, key, headers) in enumerate(records)],
    )


def read(reader: TopicReader, records: RecordBatch) -> Reading:
    return reader.read(records, Stages(lambda *_: None))


def offsets(reading: Reading) -> dict[str, list[int]]:
    return {part.watch.config.name: (part.rows.offsets - 100).tolist() for part in reading.parts}


def test_events_are_chosen_by_model_key_header_and_field_together_or_alone(watches, tiny) -> None:
    reader = TopicReader(
        watches(
            everything={},
            model={"input": {"where": {"model": "churn"}}},
            short={"input": {"model": "churn"}},
            key={"input": {"where": {"key": "eu"}}},
            header={"input": {"where": {"header": {"tenant": "acme"}}}},
            field={"input": {"where": {"field": {"payload.version": "2"}}}},
            all_of_it={
                "input": {
                    "where": {
                        "model": "churn",
                        "key": "eu",
                        "field": {"live": "true", "payload.version": "2"},
                    }
                }
            },
        )
    )
    reading = read(
        reader,
        batch(
            (event(tiny, model="churn"), None, []),
            (event(tiny), b"eu", []),
            (event(tiny), b"us", [("tenant", b"other"), ("tenant", b"acme")]),
            (event(tiny, payload={"version": 2}), None, [("tenant", None)]),
            (event(tiny, model="churn", payload={"version": 2}, live=True), b"eu", []),
            (event(tiny, payload="flat", live=[True]), None, []),
        ),
    )
    assert offsets(reading) == {
        "everything": [0, 1, 2, 3, 4, 5],
        "model": [0, 4],
        "short": [0, 4],
        "key": [1, 4],
        "header": [2],
        "field": [3, 4],
        "all_of_it": [4],
    }
    assert not reading.rejected


def test_scores_and_ids_follow_their_events_through_the_routes(watches, tiny) -> None:
    reader = TopicReader(watches(odd={"input": {"where": {"key": "odd"}}}, all={}))
    events = tiny.calm(10, seed=5)
    records = batch(
        *((event(tiny, row, id=f"id-{row}"), b"odd" if row % 2 else b"", []) for row in range(10))
    )

    odd, everything = read(reader, records).parts

    np.testing.assert_allclose(everything.rows.scores, events.scores, rtol=1e-4)
    np.testing.assert_array_equal(odd.rows.scores, everything.rows.scores[1::2])
    assert [odd.rows.event_id(row) for row in range(5)] == [f"id-{row}" for row in range(1, 10, 2)]


def test_segments_come_from_the_key_a_header_or_any_field(watches, tiny) -> None:
    rules = ("key", "header:region", "field", "field:payload.region", "none")
    reader = TopicReader(watches(**{f"m{i}": {"segment_by": rule} for i, rule in enumerate(rules)}))
    reading = read(
        reader,
        batch(
            (event(tiny, segment="s", payload={"region": "p"}), b"k", [("region", b"h")]),
            (event(tiny), None, []),
        ),
    )
    assert [part.segments for part in reading.parts] == [
        ["k", "all"],
        ["h", "all"],
        ["s", "all"],
        ["p", "all"],
        None,
    ]


def test_segments_are_those_of_the_chosen_events(watches, tiny) -> None:
    reader = TopicReader(watches(m={"segment_by": "key", "input": {"model": "a", "unmatched": "ignore"}}))
    records = batch(*((event(tiny, model="ab"[row % 2]), b"%d" % row, []) for row in range(4)))
    (part,) = read(reader, records).parts
    assert part.segments == ["0", "2"]


def test_one_topic_may_carry_events_of_several_formats(watches, tiny) -> None:
    events = tiny.calm(3, seed=7)
    (raw, *_) = encode_tensor(events.instances, events.predictions)
    reader = TopicReader(
        watches(
            text={"input": {"format": "json"}, "dead_letters": "bad-json"},
            other={"input": {"fields": {"instance": "x"}}, "dead_letters": "bad-other"},
            raw={
                "input": {"format": "tensor", "where": {"header": {"kind": "raw"}}},
                "dead_letters": "bad-tensor",
            },
        )
    )
    renamed = json.loads(event(tiny, 1))
    renamed["x"] = renamed.pop("instance")
    reading = read(
        reader,
        batch(
            (event(tiny, 0), None, []),
            (raw, None, [("kind", b"raw")]),
            (json.dumps(renamed).encode(), None, []),
            (b"{}", None, []),
            (b"short", None, [("kind", b"raw")]),
        ),
    )
    assert offsets(reading) == {"text": [0], "other": [2], "raw": [1]}
    assert {
        topic: [(bad.row, bad.reason) for bad in events] for topic, events in reading.rejected.items()
    } == {
        "bad-json": [(3, RejectReason.MISSING_FIELD), (4, RejectReason.UNDECODABLE)],
        "bad-other": [(3, RejectReason.MISSING_FIELD), (4, RejectReason.UNDECODABLE)],
        "bad-tensor": [(4, RejectReason.WRONG_SHAPE)],
    }
    assert len(reading.refused) == 2


@pytest.mark.parametrize("unmatched", ["reject", "ignore"])
def test_an_event_that_no_monitor_wants_is_rejected_or_ignored(watches, tiny, unmatched) -> None:
    choosy = {"where": {"field": {"version": "2"}, "header": {"tenant": "acme"}}, "unmatched": unmatched}
    reader = TopicReader(watches(m={"input": choosy}))
    reading = read(
        reader,
        batch(
            (event(tiny, version=1), None, [("tenant", b"acme")]),
            (event(tiny, version=2), None, []),
            (event(tiny, version=2), None, [("tenant", b"acme")]),
        ),
    )
    assert offsets(reading) == {"m": [2]}
    if unmatched == "ignore":
        assert (reading.refused, reading.rejected) == ([], {})
    else:
        assert [bad.detail for bad in reading.rejected["rejected"]] == [
            "No monitor of this topic watches events with field 'version' '1' and header 'tenant' 'acme'.",
            "No monitor of this topic watches events with header 'tenant' None.",
        ]


def test_a_format_without_fields_cannot_be_routed_by_one(watches) -> None:
    for changes in ({"segment_by": "field:region"}, {"input": {"where": {"field": {"region": "eu"}}}}):
        changes["input"] = {**changes.get("input", {}), "format": "tensor"}
        with pytest.raises(ConfigError, match=r"'m' routes by field 'region', .* 'tensor' have no fields"):
            TopicReader(watches(m=changes))
