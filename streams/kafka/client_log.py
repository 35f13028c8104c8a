"""Where Kafka clients log: what librdkafka says again and again is written once a minute.

While a broker is away librdkafka tries it up to twenty times a second with every client, and says so each
time.
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import dataclass

REPEAT_SECONDS = 60.0
"""How often a line is written that comes again and again."""
NEW_AFTER_SECONDS = 15.0
"""Silence after which a line is news: longer than librdkafka pauses between two attempts at most."""

_THREAD = re.compile(r"^\[thrd:[^\]]*\]: ")
_BROKER = re.compile(r"^(?:GroupCoordinator|Coordinator|Controller): |(?<=:\d)(\d*)/(?:bootstrap|\d+)(?=: )")
_CIRCUMSTANCES = re.compile(r" \(after .*\)")


@dataclass
class _Known:
    """A line that was said, with times in seconds."""

    written: float
    said: float
    untold: int = 0


class Repeats(logging.Filter):
    """Lets a line of librdkafka pass unless one like it has just passed, and tells how many were held back.

    Lines are alike that differ by nothing but the client, its thread, the broker's number and how long an
    attempt took: another broker or another reason is news. So is the same one after a while of silence. Lines
    that are not librdkafka's pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[int, str, str], _Known] = {}
        # Entered again where collecting garbage ends a client, which says so.
        self._lock = threading.RLock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide about a record, by its own time."""
        if not isinstance(record.args, tuple) or len(record.args) != 3:
            return True
        facility, _, text = map(str, record.args)
        line = record.levelno, facility, _gist(text)
        now = record.created
        with self._lock:
            known = self._known.get(line)
            if known is None or now - known.said > NEW_AFTER_SECONDS:
                self._known = {
                    k: one for k, one in self._known.items() if now - one.said <= NEW_AFTER_SECONDS
                }
                self._known[line] = _Known(now, now)
                return True
            known.said = now
            known.untold += 1
            if now - known.written < REPEAT_SECONDS:
                return False
            record.msg = f"{record.msg} ({known.untold:,} times within {now - known.written:.0f} s)"
            known.written, known.untold = now, 0
            return True


def _gist(text: str) -> str:
    for circumstance in (_THREAD, _CIRCUMSTANCES):
        text = circumstance.sub("", text)
    return _BROKER.sub(r"\1", text)


client_log = logging.getLogger(__name__)
"""The ``logger`` of every client."""
client_log.addFilter(Repeats())
