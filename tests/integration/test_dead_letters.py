"""Dead letters on a topic that takes small records only: the broker refuses them after they were queued."""

from __future__ import annotations

import pytest

from streams import headers as names
from streams.errors import KafkaError
from streams.events import RejectedEvent, RejectReason
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import DeliveryConfirmedProducer
from tests.records_in_memory import batch_of
from tests.records_read_back import read_back


@pytest.mark.real_broker
def test_a_small_limit_of_the_topic_holds_up_nothing(kafka, topic):
    rejected = topic("rejected", max_message_bytes="70000")
    values = [b"small", b"x" * 900_000, b"y" * 300_000, b"also small"]
    producer = DeliveryConfirmedProducer({"bootstrap.servers": kafka.bootstrap})

    reasons = [RejectedEvent(row, RejectReason.TOO_LARGE, "It is large.") for row in range(len(values))]
    DeadLetters(producer).send(rejected, batch_of(values), reasons)
    producer.flush(30)

    letters = read_back(kafka.bootstrap, rejected, 4)
    found = {dict(letter.headers())[names.REJECT_OFFSET]: letter for letter in letters}
    assert [len(found[b"%d" % offset].value()) for offset in range(100, 104)] == [5, 65536, 65536, 10]
    assert dict(found[b"101"].headers())[names.REJECT_TRUNCATED] == b"900000"
    assert producer.undelivered == 0


@pytest.mark.real_broker
def test_a_record_that_may_not_be_cut_is_an_error_of_the_flush(kafka, topic):
    alerts = topic("alerts", max_message_bytes="1000")
    producer = DeliveryConfirmedProducer({"bootstrap.servers": kafka.bootstrap})

    alert = producer.send(alerts, b"x" * 2000)
    with pytest.raises(KafkaError, match=r"(?i)could not be delivered to topic 'alerts-.*large"):
        producer.flush(30)

    assert not alert.delivered
