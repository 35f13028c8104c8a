"""Checks of Redis before work begins: reachable, allowed to write, set up to keep what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from monitor.checks.findings import Finding, failed, ok, warning
from monitor.checks.redis_rights import WORKER, missing_rights
from monitor.config import Config
from streams.errors import RedisError
from streams.state.redis_connection import RedisConnection, RedisUnavailableError

ANSWER_SECONDS = 5.0
"""How long Redis has to answer one question."""


def connect(config: Config) -> RedisConnection:
    """Open a connection that gives up early."""
    options = config.redis.connection_options()
    options["timeout_seconds"] = min(options["timeout_seconds"], ANSWER_SECONDS)
    return RedisConnection(**options)


def check_redis(
    config: Config, connection: RedisConnection, commands: Sequence[str] = WORKER
) -> Iterator[Finding]:
    """Try the commands that are needed on keys of their own, and look at what happens when memory is full."""
    if absent := list(_files_not_there(config)):
        yield from absent
        return
    try:
        missing = missing_rights(connection, config.redis.prefix, commands)
    except RedisError as error:
        yield failed("Redis", _sentence(config, error))
        return
    if missing:
        yield failed("Redis", connection.lacking(missing))
        return
    try:
        with connection.client() as client:
            info: dict[str, Any] = client.info()
    except RedisError:
        # Managed services may forbid INFO; all that is needed to work was tried above.
        yield ok("Redis", f"{config.redis.url} can be written to")
        return
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", 0) and policy != "noeviction":
        yield warning(
            "Redis",
            f"version {info['redis_version']}; it drops keys when memory is full (maxmemory-policy {policy}),"
            " open windows among them; set noeviction.",
        )
    else:
        yield ok("Redis", f"version {info['redis_version']}, can be written to")


def _sentence(config: Config, error: RedisError) -> str:
    reason = str(error).rstrip(".")
    if "DB index is out of range" in reason:
        return f"{reason}; redis.url ends in the number of a database that it does not have."
    if "reset by peer" in reason or "closed by server" in reason or "EOF occurred" in reason:
        if config.redis.url.scheme == "rediss":
            return f"{reason}; it may want a client certificate, redis.ssl_certfile."
        return f"{reason}; it may expect TLS, for which redis.url begins with rediss://."
    if not isinstance(error, RedisUnavailableError) or "check redis." in reason:
        return f"{reason}."
    if config.redis.url.scheme == "rediss" and "Timeout" in reason:
        return f"{reason}; it may not speak TLS, without which redis.url begins with redis://."
    return f"{reason}; check redis.url."


def _files_not_there(config: Config) -> Iterator[Finding]:
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        path = getattr(config.redis, name)
        if path is not None and not path.is_file():
            yield failed("Redis", f"redis.{name} names {path}, which is not a file.")
