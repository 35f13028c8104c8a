"""What becomes of rejected records."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams import headers as names
from streams.events import RejectedEvent, RejectReason
from streams.kafka.dead_letters import KEPT_BYTES, DeadLetters, dead_letter
from streams.kafka.producer import DeliveryConfirmedProducer
from tests.records_in_memory import batch_of
from tests.records_read_back import read_back
from tests.servers.mock_kafka import MockBroker

SHAPE = RejectedEvent(1, RejectReason.WRONG_SHAPE, "The field 'größe' has shape (2,), expected (3,).")


@pytest.fixture(scope="module")
def broker() -> Iterator[MockBroker]:
    broker = MockBroker().start()
    yield broker
    broker.close()


def test_a_dead_letter_is_the_record_with_the_reason_in_headers(broker):
    records = batch_of([b"good", b"bad", None], [None, [("trace", b"1"), ("empty", None)], None])
    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap})

    tombstone = RejectedEvent(2, RejectReason.UNDECODABLE, "A tombstone.")
    DeadLetters(producer).send("dead", records, [SHAPE, tombstone])
    producer.flush(20)

    found = {message.value(): message for message in read_back(broker.bootstrap, "dead", 2)}
    assert set(found) == {b"bad", None}
    assert found[b"bad"].key() == b"key"
    assert found[b"bad"].headers() == [
        ("trace", b"1"),
        ("empty", None),
        (names.REJECT_REASON, b"wrong_shape"),
        (names.REJECT_DETAIL, SHAPE.detail.encode()),
        (names.REJECT_TOPIC, b"events"),
        (names.REJECT_PARTITION, b"3"),
        (names.REJECT_OFFSET, b"101"),
    ]


def test_the_reason_replaces_that_of_an_earlier_rejection():
    once = dead_letter(batch_of([b"", b"bad"], [None, [("trace", b"1")]]), SHAPE)

    again = dead_letter(batch_of([b"", once.value], [None, once.headers]), SHAPE)

    assert again == once


@pytest.mark.parametrize("kept", KEPT_BYTES)
def test_a_value_that_is_too_large_is_cut(broker, kept):
    value = bytes(range(256)) * 4096
    producer = DeliveryConfirmedProducer(
        {"bootstrap.servers": broker.bootstrap, "message.max.bytes": kept + 1000}
    )

    DeadLetters(producer).send(f"cut-{kept}", batch_of([b"", value], [None, [("trace", b"1")]]), [SHAPE])
    producer.flush(20)

    [found] = read_back(broker.bootstrap, f"cut-{kept}", 1)
    assert found.value() == value[:kept]
    assert found.key() == b"key"
    assert ("trace", b"1") in found.headers()
    assert (names.REJECT_TRUNCATED, b"1048576") in found.headers()


def test_a_record_that_is_too_large_even_then_leaves_its_reason(broker):
    records = batch_of([b"", b"value"], [None, [("large", b"x" * 5000)]])
    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 2000})

    DeadLetters(producer).send("bare", records, [SHAPE])
    producer.flush(20)

    [found] = read_back(broker.bootstrap, "bare", 1)
    assert (found.value(), found.key()) == (b"", None)
    headers = dict(found.headers())
    assert headers[names.REJECT_REASON] == b"wrong_shape"
    assert headers[names.REJECT_OFFSET] == b"101"
    assert headers[names.REJECT_TRUNCATED] == b"5"
    assert "large" not in headers
