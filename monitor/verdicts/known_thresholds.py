"""Thresholds that took seconds to work out, kept in Redis so that each is worked out once for all workers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from detectors.promises.promises import Threshold
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import thresholds_key

log = logging.getLogger(__name__)

METHOD = 1
"""Raised whenever thresholds are worked out in another way, so that older ones are not used any more."""

WORTH_SAYING_SECONDS = 1.0
"""Work that takes longer than this is logged."""


class KnownThresholds:
    """Thresholds by what they promise.

    Parameters
    ----------
    connection
        Where Redis is.
    prefix
        What Redis keys start with.
    """

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._redis = connection
        self._key = thresholds_key(prefix)

    def recall(self, promise: str, work_out: Callable[[], Threshold]) -> Threshold:
        """Return the threshold that keeps a promise; work it out and keep it if nobody has.

        Parameters
        ----------
        promise
            Everything that the threshold depends on.
        work_out
            Finds the threshold.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now.
        """
        field = f"{METHOD} {promise}"
        with self._redis.client() as client:
            stored: Any = client.hget(self._key, field)
        if stored is not None:
            return Threshold(**json.loads(stored))
        begun = time.monotonic()
        threshold = work_out()
        if (seconds := time.monotonic() - begun) > WORTH_SAYING_SECONDS:
            log.info(
                "Working out the threshold for %s took %.0f seconds; it is kept in Redis.", promise, seconds
            )
        with self._redis.client() as client:
            client.hset(self._key, field, json.dumps(asdict(threshold)))
        return threshold
