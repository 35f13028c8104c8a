"""Waiting for Redis, Kafka and the schema registry while they are away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from streams.errors import KafkaUnavailableError, SchemaRegistryUnavailableError
from streams.state.redis_connection import RedisUnavailableError

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 5.0
"""Bounds of the exponential back-off."""

_OUTAGES = (RedisUnavailableError, KafkaUnavailableError, SchemaRegistryUnavailableError)


class AbandonedError(Exception):
    """What was being done is to be dropped: the worker stops, or it is no longer the worker's to do."""


class Patience:
    """Carries out actions for as long as it takes.

    Parameters
    ----------
    stopping
        Set when the worker is to stop; ends all waiting.
    on_outage
        Told of the error at each failed attempt, and None when the waiting is over.
    """

    def __init__(
        self,
        stopping: threading.Event,
        on_outage: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        self._stopping = stopping
        self._on_outage = on_outage

    def carry_out(self, action: Callable[[], None], while_waiting: Callable[[], None] | None = None) -> bool:
        """Carry out an action that an outage may hold up, again and again until it succeeds.

        Parameters
        ----------
        action
            What to do; may be begun any number of times.
        while_waiting
            Called after every wait, before the next attempt.

        Returns
        -------
        bool
            Whether there was any waiting.

        Raises
        ------
        AbandonedError
            If the worker is to stop.
        """
        delay = FIRST_RETRY_SECONDS
        try:
            while True:
                try:
                    action()
                except _OUTAGES as error:
                    self._on_outage(error)
                    if delay == FIRST_RETRY_SECONDS:
                        log.warning("%s; waiting for it.", error)
                    if self._stopping.wait(delay):
                        raise AbandonedError from error
                    delay = min(2 * delay, LONGEST_RETRY_SECONDS)
                    if while_waiting is not None:
                        while_waiting()
                else:
                    break
        finally:
            if delay > FIRST_RETRY_SECONDS:
                self._on_outage(None)
        waited = delay > FIRST_RETRY_SECONDS
        if waited:
            log.warning("It is back; going on.")
        return waited
