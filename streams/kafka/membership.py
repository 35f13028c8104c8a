"""Ending a client's membership in a consumer group."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer

LEAVE_SECONDS = 5.0
"""How long the group may take to let a consumer in that wants to leave."""
POLL_SECONDS = 0.05


def leave_and_close(consumer: Consumer, properties: Mapping[str, Any]) -> None:
    """Leave the group, partitions being revoked first, and close the consumer.

    A client that is closed while it joins never tells the group that it leaves, and the partitions meant for
    it are given to nobody before its session has expired. So it is let in first, if that is under way.

    Parameters
    ----------
    consumer
        The consumer, subscribed to some topics.
    properties
        What it was made with.
    """
    try:
        # A static member is expected back and never tells.
        if not properties.get("group.instance.id"):
            consumer.unsubscribe()
            deadline = time.monotonic() + LEAVE_SECONDS
            while consumer.memberid() and time.monotonic() < deadline:
                consumer.poll(POLL_SECONDS)
    finally:
        consumer.close()
