"""What the decoding process runs."""

from __future__ import annotations

import logging
import signal
from multiprocessing.connection import Connection

from streams.codecs.ahead.messages import CodecOpening, Request, without_records
from streams.codecs.protocol import Codec
from streams.events import EventBatch

log = logging.getLogger(__name__)

GREETING = "ready"


def serve(descriptor: int) -> None:
    """Answer requests with what was decoded until the worker has closed its end of the connection."""
    # The worker ends this process, whatever a terminal or a service manager sends to both.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    codecs: list[tuple[CodecOpening, Codec]] = []
    with Connection(descriptor) as worker:
        try:
            worker.send(GREETING)
            while True:
                worker.send(_answer(codecs, Request.receive(worker)))
        except (EOFError, ConnectionError):
            return


def _answer(codecs: list[tuple[CodecOpening, Codec]], request: Request) -> EventBatch | None:
    """Decode; None when that fails, so that the worker decodes the batch and fails itself."""
    try:
        codec = next((codec for opening, codec in codecs if opening == request.opening), None)
        if codec is None:
            codec = request.opening.open()
            codecs.append((request.opening, codec))
        return without_records(codec.decode(request.records()))
    except Exception:
        log.debug("A batch could not be decoded here.", exc_info=True)
        return None
