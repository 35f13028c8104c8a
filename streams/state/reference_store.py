"""References in Redis: immutable, named by their content, with one of them in force for each monitor.

All workers of a monitor test against the reference in force, and notice a promotion with their next batch.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streams.errors import StateError
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.windows import SCORE_DTYPE


@dataclass(frozen=True)
class StoredReference:
    """What is known of a stored reference without reading it.

    Attributes
    ----------
    version
        ``sha256:`` and the digest of the packed scores.
    size
        Number of scores.
    mean
        Their mean.
    stored_ms
        When it was stored, milliseconds since 1970.
    in_force
        Whether windows are tested against it now.
    """

    version: str
    size: int
    mean: float
    stored_ms: int
    in_force: bool


def reference_version(scores: npt.NDArray[np.float32]) -> str:
    """Name a reference by its content: the SHA-256 digest of its sorted scores as little-endian float32."""
    return "sha256:" + hashlib.sha256(_packed(scores)).hexdigest()


class ReferenceStore:
    """The references of one monitor.

    Parameters
    ----------
    connection
        Where Redis is.
    keys
        Names of the monitor's keys.
    """

    def __init__(self, connection: RedisConnection, keys: MonitorKeys) -> None:
        self._redis = connection
        self._keys = keys

    def put(self, scores: npt.NDArray[np.float32]) -> str:
        """Store a reference, unless it is there already, and return its version.

        Parameters
        ----------
        scores
            Finite scores, shape (n,), in any order.
        """
        packed = _packed(scores)
        version = reference_version(scores)
        description = {"size": len(scores), "mean": float(np.mean(scores, dtype=np.float64))}
        with self._redis.client() as client:
            pipe = client.pipeline()
            pipe.set(self._keys.reference_scores(version), packed, nx=True)
            pipe.hsetnx(self._keys.references, version, json.dumps({**description, "stored_ms": _now_ms()}))
            pipe.execute()
        return version

    def get(self, version: str) -> npt.NDArray[np.float32]:
        """Return the sorted scores of a reference, float32, shape (n,).

        Raises
        ------
        StateError
            If there is no such reference, or its content is not what its name says.
        """
        with self._redis.client() as client:
            packed: Any = client.get(self._keys.reference_scores(version))
        if packed is None:
            raise StateError(f"Monitor {self._keys.monitor!r} has no reference {version} in Redis.")
        if "sha256:" + hashlib.sha256(packed).hexdigest() != version:
            raise StateError(
                f"Reference {version} of monitor {self._keys.monitor!r} was altered in Redis; push it again."
            )
        return np.frombuffer(packed, SCORE_DTYPE)

    def current(self) -> str | None:
        """Return the version in force; None when none was promoted."""
        with self._redis.client() as client:
            version: Any = client.get(self._keys.reference)
        return None if version is None else version.decode()

    def promote(self, version: str) -> None:
        """Put a stored reference in force.

        Raises
        ------
        StateError
            If there is no such reference.
        """
        self.get(version)
        with self._redis.client() as client:
            pipe = client.pipeline()
            pipe.set(self._keys.reference, version)
            pipe.lpush(self._keys.promotions, json.dumps([_now_ms(), version]))
            pipe.execute()

    def adopt(self, scores: npt.NDArray[np.float32]) -> str:
        """Return the version in force; when there is none, store these scores and put them in force."""
        current = self.current()
        if current is not None:
            return current
        version = self.put(scores)
        with self._redis.client() as client:
            if client.set(self._keys.reference, version, nx=True):
                client.lpush(self._keys.promotions, json.dumps([_now_ms(), version]))
        return self.current() or version

    def rollback(self) -> str:
        """Put the reference in force that was so before the current one, and return its version.

        Raises
        ------
        StateError
            If there was none before.
        """
        history = [version for _, version in self.promotions()]
        current = self.current()
        earlier = next((version for version in history if version != current), None)
        if earlier is None:
            raise StateError(f"Monitor {self._keys.monitor!r} had no other reference in force to go back to.")
        self.promote(earlier)
        return earlier

    def promotions(self) -> list[tuple[int, str]]:
        """Return (time in milliseconds since 1970, version) of every promotion, newest first."""
        with self._redis.client() as client:
            stored: Any = client.lrange(self._keys.promotions, 0, -1)
        return [(at_ms, version) for at_ms, version in map(json.loads, stored)]

    def list(self) -> list[StoredReference]:
        """Describe the stored references, newest first."""
        current = self.current()
        with self._redis.client() as client:
            stored: Any = client.hgetall(self._keys.references)
        found = [
            StoredReference(version.decode(), in_force=version.decode() == current, **json.loads(description))
            for version, description in stored.items()
        ]
        return sorted(found, key=lambda reference: -reference.stored_ms)


def _packed(scores: npt.NDArray[np.float32]) -> bytes:
    return np.sort(np.asarray(scores, dtype=SCORE_DTYPE)).tobytes()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
