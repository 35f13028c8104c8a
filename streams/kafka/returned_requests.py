"""Requests that no response came for are sent to their topic again, to be scored without one."""

from __future__ import annotations

from streams import headers
from streams.kafka.producer import Content, PendingDelivery, Sender
from streams.records import Headers, RecordBatch


class ReturnedRequests:
    """Sends requests to the topic that they came from.

    Parameters
    ----------
    producer
        Confirms their delivery.
    """

    def __init__(self, producer: Sender) -> None:
        self._producer = producer

    def send(self, records: RecordBatch) -> list[PendingDelivery]:
        """Send requests, with a header that tells where they were first, and tell of each when it arrives.

        Each goes to the partition that it came from. Of one that the topic does not take with that header,
        the value is left away, so that it cannot hold up the others: it is rejected when it is read.

        Raises
        ------
        KafkaError
            If one of them, or an earlier record, cannot be delivered.
        """
        deliveries = []
        for row, partition in enumerate(records.partitions.tolist()):
            key, value = records.keys[row], records.values[row]
            kept: Headers = [header for header in records.headers[row] if header[0] != headers.RETURNED_FROM]
            place = f"{partition}:{records.offsets[row]}".encode()
            returned: Headers = [*kept, (headers.RETURNED_FROM, place)]
            truncated: Headers = [*returned, (headers.REJECT_TRUNCATED, str(len(value or b"")).encode())]
            deliveries.append(
                self._producer.send(
                    records.topic,
                    value,
                    key=key,
                    headers=returned,
                    partition=partition,
                    smaller=[Content(b"", key, truncated)],
                )
            )
        return deliveries
