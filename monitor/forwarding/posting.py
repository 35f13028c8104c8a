"""One attempt to hand an alert over by HTTP, and what its outcome asks for."""

from __future__ import annotations

import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from typing import Any

from monitor.config.forwarding import TargetConfig
from monitor.errors import MonitorError
from monitor.forwarding.requests import Content

_UNACCEPTABLE = frozenset({400, 413, 415, 422})
"""Answers about the alert itself, which will not be taken at another time either. After all others it may be:
404 and 401, for instance, an address or a token that somebody will put right."""


class NotDeliveredError(MonitorError):
    """A receiver did not take an alert; it may at another time.

    Attributes
    ----------
    retry_after_seconds
        When the receiver asks to be tried again; None when it does not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RefusedError(MonitorError):
    """A receiver does not accept an alert and never will."""


def post(target: TargetConfig, content: Content) -> None:
    """Hand an alert over.

    Raises
    ------
    NotDeliveredError
        If it was not taken, but may be at another time.
    RefusedError
        If it will never be taken.
    """
    headers = {name: value.get_secret_value() for name, value in target.headers.items()}
    address = target.url.get_secret_value()
    request = urllib.request.Request(  # noqa: S310 - the config lets only http and https pass
        address.rstrip("/") + content.path if content.path else address,
        data=content.body,
        headers={"User-Agent": "drift-monitor", **headers, "Content-Type": content.content_type},
        method="POST",
    )
    where = f"{target.name} ({target.url})"
    try:
        with _opener.open(request, timeout=target.timeout_seconds):
            return
    except urllib.error.HTTPError as error:
        with error:
            said = f"{where} answered {error.code} {error.reason}"
            if error.code in _UNACCEPTABLE:
                raise RefusedError(f"{said}: it does not accept the alert.") from error
            raise NotDeliveredError(f"{said}.", _seconds(error.headers)) from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error) or type(error).__name__
        raise NotDeliveredError(f"{where} cannot be reached: {reason}.") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET, and secrets would go elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def _seconds(headers: Message) -> float | None:
    text = headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
