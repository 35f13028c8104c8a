"""What becomes of CloudEvents, good and bad."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.codecs.cloudevents_codec import CloudEventsCodec
from streams.errors import CodecError
from streams.events import EventSchema
from streams.events import RejectReason as Reason
from streams.records import Headers
from tests.producer_samples import sample
from tests.records_in_memory import TIMESTAMP_MS, batch_of

SCHEMA = EventSchema(input_shape=(3,), n_classes=2)
NOON_MS = 1_795_176_000_000
DATA = {"instance": [1.0, 0.0, 1.0], "prediction": [0.25, 0.75], "segment": "eu"}
OIP = {
    "inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}],
    "outputs": [{"name": "p", "shape": [2, 2], "datatype": "FP32", "data": [0.5, 0.5, 0, 1]}],
}


def binary(data: Any = DATA, **attributes: str) -> tuple[bytes, Headers]:
    given = {"specversion": "1.0", "id": "a", "source": "/s", "type": "t", **attributes}
    headers: Headers = [("content-type", b"application/json")]
    return json.dumps(data).encode(), headers + [
        (f"ce_{name}", text.encode()) for name, text in given.items()
    ]


def structured(data: Any = DATA, **attributes: Any) -> tuple[bytes, Headers]:
    given = {"specversion": "1.0", "id": "a", "source": "/s", "type": "t", **attributes, "data": data}
    return json.dumps(given).encode(), []


def decode(*records: tuple[bytes | None, Headers], schema: EventSchema = SCHEMA, **options: Any) -> Any:
    values, headers = zip(*records, strict=True)
    return CloudEventsCodec(schema, **options).decode(batch_of(values, headers))


def test_what_the_sdk_writes_is_read_in_both_modes() -> None:
    golden = [sample("cloudevents_binary"), sample("cloudevents_structured")]
    batch = decode(*[(one.value, one.headers) for one in golden], segment_attribute="source")

    assert batch.rejected == []
    assert batch.instances.tolist() == [golden[0].instances[0].tolist()] * 2
    assert batch.predictions.tolist() == [golden[0].predictions[0].tolist()] * 2
    assert (list(batch.ids), list(batch.segments), batch.models) == (
        ["6f1c"] * 2,
        ["/services/churn"] * 2,
        None,
    )
    assert batch.times_ms.tolist() == [NOON_MS] * 2


@pytest.mark.parametrize("form", [binary, structured])
def test_attributes_stand_in_for_fields_of_the_data(form: Any) -> None:
    record = form({**DATA, "model": "inner", "id": "inner"}, service="churn", time="2026-11-20T12:00:00Z")
    plain, named = decode(record), decode(record, model_attribute="service", segment_attribute="source")

    assert (list(plain.ids), list(plain.models), list(plain.segments)) == (["a"], ["inner"], ["eu"])
    assert (list(named.ids), list(named.models), list(named.segments)) == (["a"], ["churn"], ["/s"])
    assert plain.times_ms.tolist() == named.times_ms.tolist() == [NOON_MS]


@pytest.mark.parametrize("form", [binary, structured])
def test_data_are_in_any_format(form: Any) -> None:
    nested = {"request": {"inputs": OIP["inputs"]}, "response": {"outputs": OIP["outputs"]}}
    options = {"request": "request", "response": "response"}
    for data, data_options in ((OIP, {}), (nested, options)):
        batch = decode(form(data), form(data, id="b"), data="oip", data_options=data_options)
        assert batch.rejected == []
        assert batch.instances.tolist() == [[1, 2, 3], [4, 5, 6]] * 2
        assert list(batch.ids) == ["a", "a", "b", "b"]


def test_modes_may_alternate() -> None:
    schema = EventSchema((3,), 2, others=("tier",))
    records = [binary(id="0"), structured({**DATA, "tier": "gold"}, id="1"), binary({}), structured(id="3")]
    batch = decode(*records, schema=schema)

    assert batch.rows.tolist() == [0, 1, 3]
    assert list(batch.ids) == ["0", "1", "3"]
    assert batch.others == {"tier": [None, "gold", None]}
    assert [(one.row, one.reason) for one in batch.rejected] == [(2, Reason.MISSING_FIELD)]
    assert batch.times_ms.tolist() == [TIMESTAMP_MS] * 3


@pytest.mark.parametrize(
    ("bad", "reason", "words"),
    [
        (binary(time="noon"), Reason.WRONG_DTYPE, "attribute 'time' is 'noon'"),
        (structured(time="noon"), Reason.WRONG_DTYPE, "'time' is 'noon'"),
        (binary("x"), Reason.UNDECODABLE, "expected a JSON object"),
        ((b"{", []), Reason.UNDECODABLE, "not JSON"),
        ((None, []), Reason.UNDECODABLE, "tombstone"),
        ((b'{"data": 3}', []), Reason.WRONG_DTYPE, "'data' is the number 3"),
        ((b'{"id": "a"}', []), Reason.MISSING_FIELD, "'data.instance' is missing"),
        (structured(None, data_base64="e30="), Reason.MISSING_FIELD, "'data.instance' is missing"),
    ],
)
def test_what_is_wrong_is_refused_with_its_reason(bad: Any, reason: Reason, words: str) -> None:
    batch = decode(binary(), bad, structured())

    assert [(one.row, one.reason) for one in batch.rejected] == [(1, reason)]
    assert words in batch.rejected[0].detail
    assert batch.rows.tolist() == [0, 2]


def test_structured_mode_holds_json_alone() -> None:
    batch = decode(structured(), data="tensor")

    assert [(one.row, one.reason) for one in batch.rejected] == [(0, Reason.UNDECODABLE)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"data": "jsn"}, "no event format 'jsn'"),
        ({"data": "cloudevents"}, "format of what is inside"),
        ({"data": "oip", "data_options": {"inpt": 1}}, "no option 'inpt'"),
        ({"data_options": 3}, "is 3, expected names"),
        ({"model_attribute": "a.b"}, "name of an attribute"),
    ],
)
def test_wrong_options_are_refused(options: Any, sentence: str) -> None:
    with pytest.raises(CodecError, match=sentence):
        CloudEventsCodec(SCHEMA, **options)


NAMES = st.sampled_from(["ce_id", "ce_id", "ce_time", "ce_type", "ce_tenant", "content-type"])
CONTENTS = st.sampled_from([b"a", b"", b"2026-11-20T12:00:00Z", b"\xff", None])


@given(st.lists(st.lists(st.tuples(NAMES, CONTENTS), max_size=4), min_size=1, max_size=4), st.booleans())
def test_an_event_gets_the_answer_that_it_gets_alone(headers: list[Headers], alike: bool) -> None:
    if alike:
        names = [name for name, _ in headers[0]]
        headers = [
            [(name, content) for name, (_, content) in zip(names, each, strict=False)]
            for each in headers
            if len(each) >= len(names)
        ]
    records = [(json.dumps(DATA).encode(), each) for each in headers]
    batch = decode(*records, segment_attribute="tenant")

    for row, record in enumerate(records):
        alone = decode(record, segment_attribute="tenant")
        at = np.flatnonzero(batch.rows == row)
        assert batch.times_ms[at].tolist() == alone.times_ms.tolist()
        for column, expected in ((batch.ids, alone.ids), (batch.segments, alone.segments)):
            assert [None if column is None else column[i] for i in at] == list(expected or [None] * len(at))
        assert [(one.reason, one.detail) for one in batch.rejected if one.row == row] == [
            (one.reason, one.detail) for one in alone.rejected
        ]
