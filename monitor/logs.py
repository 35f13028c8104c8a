"""Log lines of the worker: for people or for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Literal, TextIO

TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every log record has; anything beyond was added by the ``extra`` of a call."""


def configure_logging(log_format: Literal["text", "json"], level: str, stream: TextIO | None = None) -> None:
    """Send all log records to one stream; what was set up before is replaced.

    Parameters
    ----------
    log_format
        ``text``, a line a record; or ``json``, an object a line.
    level
        Least severe level to write: ``debug``, ``info``, ``warning`` or ``error``.
    stream
        Where to; standard error when not given.
    """
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # TensorFlow's own Python logger would repeat each record in a format of its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def about(log: logging.Logger, **fields: object) -> logging.LoggerAdapter[logging.Logger]:
    """Return a logger whose records carry fields beside their message; JSON lines have them as keys."""
    return logging.LoggerAdapter(log, fields)


class JsonFormatter(logging.Formatter):
    """One JSON object a record: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``message``, and extras."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        moment = datetime.fromtimestamp(record.created, tz=timezone.utc)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)
