"""Halves are read alike whatever stands beside them in a batch."""

from __future__ import annotations

import json

from streams.codecs.pairs.half_events import HalfReader
from streams.events import RejectReason
from streams.records import Headers
from streams.stored_records import packed_records

ATTRIBUTES = ["ce_time", "ce_absent"]
PLAIN: Headers = [("ce_type", b"x.request"), ("ce_id", b"a"), ("ce_time", b"noon")]
STRUCTURED = json.dumps({"type": "x.response", "id": "c", "time": "later", "data": {"n": 1}}).encode()
HALVES: list[tuple[bytes | None, Headers]] = [
    (b"1", PLAIN),
    (b"2", PLAIN[::-1]),
    (b"3", [*PLAIN, ("ce_id", b"b")]),
    (b"4", [*PLAIN, ("other", None)]),
    (b"5", [("ce_type", b"x.request"), ("ce_id", "é".encode())]),
    (b"6", [("ce_type", b"x.request"), ("ce_id", b"two\nlines")]),
    (STRUCTURED, []),
    (b"8", [("ce_type", b"x.response"), ("ce_id", b"a"), ("drift-monitor-returned-from", b"0:7")]),
    (None, PLAIN),
    (b"too large", PLAIN),
    (b"11", [("ce_type", b"x.response")]),
    (b"12", [("ce_id", b"a"), ("ce_type", b"x.other")]),
]


def read(reader: HalfReader, *halves: tuple[bytes | None, Headers]) -> list[object]:
    values, headers = zip(*halves, strict=True)
    found = reader.read_all(values, headers)
    reasons = {event.row: event.reason for event in found.rejected}
    attributes = [
        [text.decode() if isinstance(text, bytes) else text for text in column] for column in found.attributes
    ]
    columns = zip(found.events, found.kinds, found.data, *attributes, strict=True)
    return [
        (reasons[row],) if row in reasons else (*half, row in found.returned)
        for row, half in enumerate(columns)
    ]


def test_a_half_is_read_in_a_batch_as_it_is_alone() -> None:
    reader = HalfReader(len(STRUCTURED), ATTRIBUTES)
    small = HalfReader(3, ATTRIBUTES)
    for _ in range(2):
        # The second time, the types are known.
        alone = [read(reader, half)[0] for half in HALVES]
        assert read(reader, *HALVES) == alone
        assert [read(small, half)[0] for half in HALVES] == read(small, *HALVES)
    assert alone[0] == ("a", "request", b"1", "noon", None, False)
    assert alone[2] == ("b", "request", b"3", "noon", None, False)
    assert alone[4] == ("é", "request", b"5", None, None, False)
    assert alone[5] == ("two\nlines", "request", b"6", None, None, False)
    assert alone[6] == ("c", "response", b'{"n":1}', "later", None, False)
    assert alone[7] == ("a", "response", b"8", None, None, True)
    assert alone[8] == (RejectReason.UNDECODABLE,)
    assert alone[10] == alone[11] == (RejectReason.MISSING_FIELD,)
    assert read(small, HALVES[9]) == [(RejectReason.TOO_LARGE,)]


def test_an_attribute_that_is_asked_for_beside_the_id_is_read_from_a_stored_half() -> None:
    headers: Headers = [("ce_id", b"1"), ("ce_type", b"a.request"), ("ce_site", b"A")]
    _, packed = packed_records([None], [headers], [b"{}"])

    assert HalfReader(100, ["ce_id", "ce_site"]).read_stored([packed]) == ([[b"1"], [b"A"]], [b"{}"])


def test_odd_types_are_not_remembered() -> None:
    reader = HalfReader(100, [])
    read(reader, (b"{}", [("ce_id", b"1"), ("ce_type", b"x" * 1000 + b".request")]))

    assert reader._kinds == {}
