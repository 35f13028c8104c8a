"""Which Redis commands each role needs, and whether a user may run them, tried out one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import redis
from redis.exceptions import NoPermissionError, NoScriptError

from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys

PROBES: Mapping[str, Sequence[str]] = {
    "get": ("{string}",),
    "set": ("{string}", "1"),
    "hset": ("{hash}", "a", "1"),
    "hsetnx": ("{hash}", "b", "1"),
    "hget": ("{hash}", "a"),
    "hmget": ("{hash}", "a", "b"),
    "hincrby": ("{hash}", "a", "1"),
    "hgetall": ("{hash}",),
    "hdel": ("{hash}", "b"),
    "zadd": ("{zset}", "1", "a"),
    "zrange": ("{zset}", "0", "0"),
    "zrangebyscore": ("{zset}", "-inf", "0"),
    "zrem": ("{zset}", "b"),
    "lpush": ("{list}", "1"),
    "ltrim": ("{list}", "0", "0"),
    "lrange": ("{list}", "0", "0"),
    "time": (),
    "evalsha": ("0" * 40, "0"),
    "script|load": ("return 1",),
    "multi": (),
    "exec": (),
}
"""A call of each command that leaves nothing behind once its keys are deleted."""

WORKER = (
    *("get", "set", "hset", "hsetnx", "hget", "hmget", "hincrby", "hgetall", "hdel", "zadd", "zrange"),
    *("zrangebyscore", "zrem", "lpush", "ltrim", "time", "evalsha", "script|load", "multi", "exec"),
)
"""Commands of a worker, those of its scripts among them; beside ``del`` and what opens a connection."""
REFERENCES = ("get", "set", "hsetnx", "hgetall", "lpush", "lrange", "multi", "exec")
"""Commands that store and switch references; beside ``del`` and what opens a connection."""


def missing_rights(connection: RedisConnection, prefix: str, commands: Sequence[str]) -> list[str]:
    """Try commands on keys that are deleted again, and return the rights that are missing.

    Parameters
    ----------
    connection
        Connection of the user in question.
    prefix
        What all keys start with.
    commands
        Some of ``PROBES``.

    Returns
    -------
    list of str
        As ``ACL SETUSER`` takes them, such as ``+hset`` or ``~drift:*``.

    Raises
    ------
    RedisError
        If Redis cannot be used at all.
    """
    keys = MonitorKeys(prefix, f"check-{uuid4().hex}")
    names = {kind: keys.last(kind) for kind in ("string", "hash", "zset", "list")}
    with connection.client() as client:
        cleaning = [("del", "DEL", *names.values())]
        if refused := _refused(client, cleaning, prefix):
            return refused
        calls = [
            (name, *name.upper().split("|"), *(part.format(**names) for part in PROBES[name]))
            for name in commands
        ]
        # Between them nothing else may come: a transaction that could not be ended would swallow it.
        ending = [call for call in calls if call[0] in ("multi", "exec")]
        calls = [call for call in calls if call not in ending]
        return _refused(client, [*calls, *cleaning, *ending], prefix)


def _refused(client: redis.Redis, calls: Sequence[Sequence[str]], prefix: str) -> list[str]:
    pipe = client.pipeline(transaction=False)
    for _, *command in calls:
        pipe.execute_command(*command)  # type: ignore[no-untyped-call]
    answers: list[Any] = pipe.execute(raise_on_error=False)
    missing: dict[str, None] = {}
    for (name, *_), answer in zip(calls, answers, strict=True):
        # What ends a transaction is refused in words of its own.
        if isinstance(answer, NoPermissionError) or "NOPERM" in str(answer):
            missing[f"~{prefix}:*" if " key" in str(answer) else f"+{name}"] = None
        elif isinstance(answer, redis.RedisError) and not _harmless(name, answer):
            raise answer
    return list(missing)


def _harmless(name: str, answer: redis.RedisError) -> bool:
    # The script that is asked for does not exist; there is nothing to end where nothing could begin.
    return isinstance(answer, NoScriptError) or name == "exec"
