"""What the producer promises about each record, on librdkafka's own broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from streams.errors import KafkaError
from streams.kafka.producer import Content, DeliveryConfirmedProducer
from tests.records_read_back import read_back
from tests.servers.mock_kafka import MockBroker
from tests.servers.ports import free_ports


@pytest.fixture(scope="module")
def broker() -> Iterator[MockBroker]:
    broker = MockBroker().start()
    yield broker
    broker.close()


def test_records_arrive_as_they_were_sent(broker):
    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap})

    first = producer.send("arrive", b"value", key=b"key", headers=[("a", b"1"), ("a", None)])
    second = producer.send("arrive", None, partition=2)
    producer.flush(20)

    assert first.delivered
    assert second.delivered
    assert producer.undelivered == 0
    found = {message.value(): message for message in read_back(broker.bootstrap, "arrive", 2)}
    assert (found[b"value"].key(), found[b"value"].headers()) == (b"key", [("a", b"1"), ("a", None)])
    assert (found[None].key(), found[None].partition()) == (None, 2)


def test_a_full_queue_makes_the_sender_wait(broker):
    producer = DeliveryConfirmedProducer(
        {"bootstrap.servers": broker.bootstrap, "queue.buffering.max.messages": 10, "linger.ms": 20}
    )

    deliveries = [producer.send("wait", b"%d" % number, partition=0) for number in range(200)]
    producer.flush(20)

    assert all(delivery.delivered for delivery in deliveries)
    values = [message.value() for message in read_back(broker.bootstrap, "wait", 200)]
    assert values == [b"%d" % number for number in range(200)]


def test_a_record_that_cannot_be_delivered_is_an_error_of_the_next_flush(broker):
    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap})

    lost = producer.send("lost", b"value", partition=99)
    with pytest.raises(KafkaError, match=r"could not be delivered to topic 'lost': .*[Uu]nknown partition"):
        producer.flush(20)

    assert not lost.delivered
    with pytest.raises(KafkaError, match="'lost'"):
        producer.send("lost", b"another")


def test_a_broker_that_does_not_answer_is_an_error_of_the_flush_and_loses_nothing():
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    producer = DeliveryConfirmedProducer({"bootstrap.servers": nobody, "log_level": 0})

    pending = producer.send("away", b"value")
    with pytest.raises(KafkaError, match=r"Kafka has not acknowledged 1 records within 0\.2 seconds\."):
        producer.flush(0.2)

    assert not pending.delivered
    assert producer.undelivered == 1


def test_a_record_that_is_too_large_is_an_error(broker):
    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 2000})

    with pytest.raises(KafkaError, match=r"could not be delivered to topic 'large': .*too large"):
        producer.send("large", b"x" * 3000)


def test_a_smaller_record_is_sent_where_the_larger_one_is_refused(broker):
    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 2000})

    delivery = producer.send(
        "smaller",
        b"x" * 4000,
        smaller=[Content(b"x" * 3000), Content(b"x" * 1000, b"key", [("cut", b"yes")]), Content(b"")],
    )
    producer.flush(20)

    assert delivery.delivered
    [found] = read_back(broker.bootstrap, "smaller", 1)
    assert (found.value(), found.key(), found.headers()) == (b"x" * 1000, b"key", [("cut", b"yes")])


@pytest.mark.parametrize("name", ["acks", "enable.idempotence", "delivery.timeout.ms", "message.timeout.ms"])
def test_no_configuration_weakens_the_delivery(broker, name):
    weaker = {"acks": 0, "enable.idempotence": False, "delivery.timeout.ms": 1, "message.timeout.ms": 1}

    producer = DeliveryConfirmedProducer({"bootstrap.servers": broker.bootstrap, name: weaker[name]})
    delivery = producer.send("weaker", b"value")
    producer.flush(20)

    assert delivery.delivered
