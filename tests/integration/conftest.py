"""Servers that only integration tests need: a Kafka and a Redis with TLS, logins and rights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.secured import SecuredKafka, SecuredRedis
from tests.servers.redis import has_tls


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Apache Kafka that refuses whatever is not allowed; tests with it are marked ``real_broker``."""
    server = SecuredKafka(tmp_path_factory.mktemp("secured-kafka"))
    yield server
    server.close()


@pytest.fixture
def secured_redis(tmp_path: Path) -> Iterator[SecuredRedis]:
    """Redis with TLS and the users of the docs."""
    if not has_tls():
        why = "there is no redis-server with TLS on the PATH"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    server = SecuredRedis(tmp_path / "secured-redis")
    yield server
    server.close()
