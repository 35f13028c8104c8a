"""Rejected events go to a dead-letter topic as they came, with the reason in headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from streams import headers
from streams.events import RejectedEvent
from streams.kafka.producer import Content, PendingDelivery, Sender
from streams.records import Headers, RecordBatch

KEPT_BYTES = (900_000, 65_536)
"""How much is kept of a value that is not taken whole: what a limit of a million bytes leaves it beside the
headers, or else enough to see what it was."""

_OWN_HEADERS = {
    headers.REJECT_REASON,
    headers.REJECT_DETAIL,
    headers.REJECT_TOPIC,
    headers.REJECT_PARTITION,
    headers.REJECT_OFFSET,
    headers.REJECT_TRUNCATED,
}


class DeadLetters:
    """Sends rejected records to dead-letter topics.

    Parameters
    ----------
    producer
        Confirms their delivery; offsets are committed only after that.
    """

    def __init__(self, producer: Sender) -> None:
        self._producer = producer

    def send(
        self, topic: str, records: RecordBatch, rejected: Sequence[RejectedEvent]
    ) -> list[PendingDelivery]:
        """Send rejected records, with their original key, value and headers; tell of each when it arrives.

        Where the topic does not take a record so large, its value is cut, and if need be left away with the
        key and the original headers, so that no record can hold up the others; a header tells the size.

        Raises
        ------
        KafkaError
            If one of them, or an earlier record, cannot be delivered.
        """
        letters = [dead_letter(records, event) for event in rejected]
        return [
            self._producer.send(topic, value, key=key, headers=headers, smaller=_smaller(letter))
            for letter in letters
            for value, key, headers in (letter,)
        ]


def dead_letter(records: RecordBatch, event: RejectedEvent) -> Content:
    """Return what the dead letter of a rejected record holds."""
    row = event.row
    # A record that was rejected before, and sent again, tells of this time only.
    kept: Headers = [header for header in records.headers[row] if header[0] not in _OWN_HEADERS]
    added: Headers = [
        (headers.REJECT_REASON, event.reason.value.encode()),
        (headers.REJECT_DETAIL, event.detail.encode()),
        (headers.REJECT_TOPIC, records.topic.encode()),
        (headers.REJECT_PARTITION, str(records.partitions[row]).encode()),
        (headers.REJECT_OFFSET, str(records.offsets[row]).encode()),
    ]
    return Content(records.values[row], records.keys[row], kept + added)


def _smaller(content: Content) -> Iterator[Content]:
    """Yield a dead letter with less and less in it."""
    value, all_headers = content.value or b"", content.headers or []
    truncated: Headers = [(headers.REJECT_TRUNCATED, str(len(value)).encode())]
    for kept in KEPT_BYTES:
        if len(value) > kept:
            yield content._replace(value=value[:kept], headers=all_headers + truncated)
    yield Content(b"", None, [header for header in all_headers if header[0] in _OWN_HEADERS] + truncated)
