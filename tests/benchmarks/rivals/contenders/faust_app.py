"""The same as an agent of Faust."""

from __future__ import annotations

import os
import sys
from typing import Any

import faust
from detector import Loop

loop = Loop()
app = faust.App(
    loop.group,
    broker=f"kafka://{loop.bootstrap}",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
)


@app.agent(app.topic(loop.topic, value_serializer="json"))
async def watch(stream: Any) -> None:
    async for event in stream:
        loop.take(event)
        if loop.done:
            # An orderly stop takes longer than the measurement.
            os._exit(0)


sys.argv = ["faust", "worker", "--loglevel", "ERROR"]
app.main()
