"""Sending through the transport of a Faust app, from the thread that the monitor works in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

import faust
from aiokafka.errors import KafkaError as ClientError
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from faust.exceptions import ProducerSendError

from streams.errors import KafkaError, KafkaUnavailableError
from streams.kafka.producer import Content, PendingDelivery
from streams.records import Headers

RETRY_SECONDS = 1.0
"""Pause before a record is sent again that the client has given up; it has retried for long by then."""
MOST_UNDELIVERED = 100_000
"""Records on their way at which the monitor waits; what librdkafka's queue holds by default."""
AT_ONCE = 20
"""Records handed to the client before the app's agents have their turn; some 20 microseconds each."""


class AppSender:
    """Sends through an app's producer; nothing that was taken is lost while the app runs.

    All methods may be called from one thread other than the event loop's.

    Parameters
    ----------
    app
        The app.
    loop
        The event loop that it runs in.
    """

    def __init__(self, app: faust.App, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop
        self._undelivered = 0
        self._fewer = threading.Condition()
        self._failure: str | None = None

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        smaller: Iterable[Content] = (),
    ) -> PendingDelivery:
        """Send a record; waits only while very many are on their way.

        Parameters
        ----------
        topic
            Where it goes.
        value, key, headers
            What it holds.
        partition
            Which partition; by the key when None.
        smaller
            What to send instead, one after the other, while the broker takes no record so large.

        Raises
        ------
        KafkaError
            If an earlier record cannot be delivered.
        """
        delivery = PendingDelivery()

        async def deliver() -> None:
            await self._deliver(topic, partition, Content(value, key, headers), iter(smaller))
            delivery.delivered = True

        self._begin(deliver(), 1)
        return delivery

    def send_all(self, topic: str, values: Sequence[bytes], keys: Sequence[bytes | None]) -> None:
        """Send many small records, each by its key; waits only while very many are on their way.

        Raises
        ------
        KafkaError
            If an earlier record cannot be delivered.
        """
        contents = [Content(value, key) for value, key in zip(values, keys, strict=True)]
        self._begin(self._deliver_all(topic, contents), len(contents))

    def flush(self, timeout_seconds: float) -> None:
        """Wait until everything sent is delivered.

        Raises
        ------
        KafkaError
            If a record cannot be delivered.
        KafkaUnavailableError
            If some are not delivered in time.
        """
        with self._fewer:
            self._fewer.wait_for(lambda: not self._undelivered or self._failure, timeout_seconds)
        self._check()
        if self._undelivered:
            raise KafkaUnavailableError(
                f"Kafka has not acknowledged {self._undelivered} records within {timeout_seconds:g} seconds."
            )

    def _check(self) -> None:
        if self._failure is not None:
            raise KafkaError(self._failure)

    def _begin(self, sending: Coroutine[Any, Any, None], count: int) -> None:
        with self._fewer:
            self._fewer.wait_for(lambda: self._undelivered < MOST_UNDELIVERED or self._failure)
            if self._failure is not None:
                sending.close()
            self._check()
            self._undelivered += count

        def note(done: Future[None]) -> None:
            with self._fewer:
                try:
                    error = done.exception()
                except CancelledError:
                    # The app has ended, and nobody waits any more.
                    return
                if error is None:
                    self._undelivered -= count
                elif self._failure is None:
                    self._failure = str(error)
                self._fewer.notify_all()

        asyncio.run_coroutine_threadsafe(sending, self._loop).add_done_callback(note)

    async def _deliver_all(self, topic: str, contents: Sequence[Content]) -> None:
        handed_over: list[asyncio.Future[Any] | None] = []
        for row, content in enumerate(contents):
            try:
                handed_over.append(await self._hand_over(topic, None, content))
            except (ClientError, ProducerSendError):
                handed_over.append(None)
            if row % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
        for content, sent in zip(contents, handed_over, strict=True):
            try:
                delivered = sent is not None and await sent is not None
            except (ClientError, ProducerSendError):
                delivered = False
            if not delivered:
                await self._deliver(topic, None, content, iter(()))

    async def _deliver(
        self, topic: str, partition: int | None, content: Content, smaller: Iterator[Content]
    ) -> None:
        """Send a record until the broker has acknowledged it."""
        while True:
            try:
                await (await self._hand_over(topic, partition, content))
            except (ClientError, ProducerSendError) as raised:
                error = raised.__cause__ if isinstance(raised, ProducerSendError) else raised
                if isinstance(error, MessageSizeTooLargeError):
                    less = next(smaller, None)
                    if less is not None:
                        content = less
                        continue
                elif isinstance(error, KafkaTimeoutError) or getattr(error, "retriable", False):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                raise KafkaError(f"A record for topic {topic!r} cannot be delivered: {error}") from raised
            else:
                return

    async def _hand_over(self, topic: str, partition: int | None, content: Content) -> asyncio.Future[Any]:
        value, key, headers = content
        sent: asyncio.Future[Any] = await self._app.producer.send(
            topic, key, value, partition, None, headers or []
        )
        return sent
