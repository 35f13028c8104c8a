"""Checks of Redis before work begins: reachable, allowed to write, set up to keep what it is given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from monitor.checks.findings import Finding, failed, ok, warning
from monitor.config import Config
from streams.errors import RedisError
from streams.state.redis_connection import RedisConnection, RedisUnavailableError
from streams.state.redis_keys import MonitorKeys

ANSWER_SECONDS = 5.0
"""How long Redis has to answer one question."""


def connect(config: Config) -> RedisConnection:
    """Open a connection that gives up early."""
    options = config.redis.connection_options()
    options["timeout_seconds"] = min(options["timeout_seconds"], ANSWER_SECONDS)
    return RedisConnection(**options)


def check_redis(config: Config, connection: RedisConnection) -> Iterator[Finding]:
    """Write, read and delete a key the way the worker does, and look at what happens when memory is full."""
    probe = MonitorKeys(config.redis.prefix, f"check-{uuid4().hex}").progress
    try:
        with connection.client() as client:
            client.set(probe, "1", px=60_000)
            client.eval("return redis.call('GET', KEYS[1])", 1, probe)
            client.delete(probe)
    except RedisError as error:
        yield failed("Redis", _sentence(error))
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


def _sentence(error: RedisError) -> str:
    reason = str(error).rstrip(".")
    if "DB index is out of range" in reason:
        return f"{reason}; redis.url ends in the number of a database that it does not have."
    if isinstance(error, RedisUnavailableError):
        return f"{reason}; check redis.url."
    return f"{reason}."
