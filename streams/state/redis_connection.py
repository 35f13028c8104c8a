"""Talking to Redis: one connection, the scripts, and errors that say what to do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from streams.errors import RedisError


class RedisUnavailableError(RedisError):
    """Redis cannot answer right now; the same call may succeed later."""


_PASSING = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
    TryAgainError,
)


_TLS_REASON = re.compile(r"(?:\[(?:SSL|X509)[^]]*\] |(?=EOF occurred))(.*?)\.?(?: \(_ssl|$)")
_UNREADABLE_KEY = "the private key cannot be read with this passphrase, or is not that of the certificate"


class Script(NamedTuple):
    """A Lua script and the digest under which Redis remembers it."""

    text: str
    sha: str


def load_script(name: str) -> Script:
    """Read ``streams/state/lua/<name>.lua``."""
    text = (resources.files("streams.state") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@dataclass(frozen=True)
class ScriptCall:
    """One call of a script: part of a round trip."""

    script: Script
    keys: Sequence[str]
    args: Sequence[str | bytes | int]


@dataclass(frozen=True)
class Command:
    """A plain command: part of a round trip."""

    words: Sequence[str | bytes | int]


class RedisConnection:
    """A Redis client whose failures are ``RedisError`` sentences, with scripts in pipelined round trips.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` or ``unix://`` URL; may carry user and password.
    timeout_seconds
        How long one answer may take.
    options
        Further keyword arguments of ``redis.Redis``, such as ``password`` or ``ssl_ca_certs``.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 5.0, **options: Any) -> None:
        self._where = _without_credentials(url)
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            client_name="drift-monitor",
            **options,
        )
        self._user = self._client.get_connection_kwargs().get("username") or "default"
        self.round_trips = 0

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """Lend the client for plain commands; what they raise leaves as ``RedisError``."""
        try:
            yield self._client
        except redis.RedisError as error:
            raise self._explained(error) from error

    def run(self, calls: Iterable[ScriptCall | Command]) -> list[Any]:
        """Run scripts and commands in one pipelined round trip and return their replies in order.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; some of the calls may have been carried out.
        RedisError
            If Redis refuses.
        """
        calls = list(calls)
        replies: list[Any] = [None] * len(calls)
        waiting = list(range(len(calls)))
        with self.client() as client:
            while waiting:
                pipe = client.pipeline(transaction=False)
                execute: Callable[..., Any] = pipe.execute_command
                for i in waiting:
                    call = calls[i]
                    if isinstance(call, Command):
                        execute(*call.words)
                    else:
                        pipe.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
                self.round_trips += 1
                answers = pipe.execute(raise_on_error=False)
                unknown = []
                for i, answer in zip(waiting, answers, strict=True):
                    call = calls[i]
                    if isinstance(answer, NoScriptError) and isinstance(call, ScriptCall):
                        client.script_load(call.script.text)
                        unknown.append(i)
                    elif isinstance(answer, redis.RedisError):
                        raise answer
                    else:
                        replies[i] = answer
                waiting = unknown
        return replies

    def ping(self) -> None:
        """Ask Redis for a sign of life."""
        with self.client() as client:
            client.ping()

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def lacking(self, rights: Iterable[str]) -> str:
        """Say that the user lacks rights, written as ``ACL SETUSER`` takes them, and how to give them."""
        given = " ".join(rights)
        return (
            f"The user {self._user!r} of Redis at {self._where} lacks the right {given}; give it with:"
            f" ACL SETUSER {self._user} {given}"
        )

    def _explained(self, error: redis.RedisError) -> RedisError:
        reason = str(error).rstrip(".")
        if isinstance(error, (AuthenticationError, AuthorizationError)) or "NOAUTH" in reason:
            # A password that is being changed is wrong for a while; those who can wait do.
            return RedisUnavailableError(
                f"Redis at {self._where} refused the user name or password: {reason}; check redis.url,"
                " redis.username and redis.password"
            )
        if isinstance(error, NoPermissionError) or "ACL failure in script" in reason:
            command = re.search(r"'([\w|]+)' command", reason)
            if command is None:
                return RedisError(
                    f"The user {self._user!r} of Redis at {self._where} lacks a right: {reason}."
                )
            return RedisError(f"{self.lacking([f'+{command[1]}'])}.")
        if (tls := _TLS_REASON.search(reason)) is not None:
            refusal = _UNREADABLE_KEY if tls[1] == "PEM lib" else tls[1]
            return RedisUnavailableError(
                f"The TLS connection to Redis at {self._where} failed: {refusal}; check redis.url and the"
                " redis.ssl_ keys"
            )
        if isinstance(error, _PASSING):
            return RedisUnavailableError(f"Redis at {self._where} cannot be used right now: {reason}")
        if isinstance(error, ResponseError) and "OOM" in reason:
            return RedisUnavailableError(f"Redis at {self._where} is out of memory: {reason}")
        return RedisError(f"Redis at {self._where} refused a command: {reason}")


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
