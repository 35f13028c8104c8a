"""The same as an application of Quix Streams."""

from __future__ import annotations

from typing import Any

from detector import Loop
from quixstreams import Application

loop = Loop()
app = Application(
    broker_address=loop.bootstrap, consumer_group=loop.group, auto_offset_reset="earliest", loglevel="ERROR"
)


def take(event: Any) -> None:
    if not loop.done:
        loop.take(event)
        if loop.done:
            app.stop()


app.dataframe(app.topic(loop.topic, value_deserializer="json")).update(take)
app.run()
