"""The servers that all other integration tests stand on."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest
import redis
from confluent_kafka import Consumer, Message, Producer
from confluent_kafka.admin import AdminClient

from tests.servers.certificates import Authority
from tests.servers.kafka import KafkaBroker
from tests.servers.process import ServerError
from tests.servers.redis import RedisServer

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


def publish(bootstrap: str, topic: str, *values: bytes, **config: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, **config})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def consume(bootstrap: str, topic: str, n: int, **config: str) -> list[Message]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": str(uuid4()),
            "auto.offset.reset": "earliest",
            **config,
        }
    )
    consumer.subscribe([topic])
    try:
        return consumer.consume(n, timeout=30)
    finally:
        consumer.close()


def values(messages: list[Message]) -> set[bytes | None]:
    assert all(message.error() is None for message in messages)
    return {message.value() for message in messages}


def test_session_broker_carries_records(kafka, topic) -> None:
    name = topic("carried")
    publish(kafka.bootstrap, name, b"one", b"two")
    assert values(consume(kafka.bootstrap, name, 2)) == {b"one", b"two"}


@pytest.mark.real_broker
def test_topics_are_new_and_have_the_partitions_asked_for(kafka, topic) -> None:
    first, second = topic("same", partitions=3), topic("same", partitions=1)
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics
    assert first != second
    assert (len(topics[first].partitions), len(topics[second].partitions)) == (3, 1)


@pytest.mark.real_broker
@pytest.mark.slow
def test_a_broker_keeps_records_and_address_when_stopped_and_when_killed(new_kafka) -> None:
    broker = new_kafka()
    address = broker.bootstrap
    publish(address, "kept", b"before")
    broker.restart()
    publish(address, "kept", b"between")
    broker.kill()
    assert not broker.running
    broker.start()
    assert broker.bootstrap == address
    assert values(consume(address, "kept", 2)) == {b"before", b"between"}


@pytest.mark.real_broker
def test_a_broker_that_cannot_start_shows_its_log() -> None:
    broker = KafkaBroker(extra_properties={"num.network.threads": "none"})
    try:
        with pytest.raises(ServerError, match=r"num\.network\.threads"):
            broker.start()
    finally:
        broker.close()
    assert not broker.running


def test_each_test_finds_an_empty_database(redis_client, redis_url) -> None:
    assert redis_client.dbsize() == 0
    redis_client.set("left", "behind")
    with redis.Redis.from_url(redis_url) as other:
        assert other.get("left") == b"behind"


def test_each_test_finds_an_empty_database_again(redis_client) -> None:
    assert redis_client.dbsize() == 0


def test_an_append_only_redis_survives_a_crash_and_another_does_not(new_redis) -> None:
    durable = new_redis({"appendonly": "yes", "appendfsync": "always"})
    cache = new_redis()
    for server in (durable, cache):
        with server.client() as client:
            client.set("key", "value")
        server.kill()
        assert not server.running
        server.start()
    with durable.client() as kept, cache.client() as lost:
        assert kept.get("key") == b"value"
        assert lost.get("key") is None


def test_a_frozen_redis_hangs_and_goes_on_when_thawed(new_redis) -> None:
    server = new_redis()
    with redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None) as client:
        client.set("key", "value")
        server.freeze()
        with pytest.raises(redis.TimeoutError):
            client.get("key")
        server.thaw()
        assert client.get("key") == b"value"


def test_a_frozen_redis_can_be_stopped(new_redis) -> None:
    server = new_redis()
    server.freeze()
    started = time.monotonic()
    server.stop()
    assert not server.running
    assert time.monotonic() - started < 5


def test_a_redis_with_users_lets_in_who_knows_the_password(new_redis) -> None:
    server = new_redis(
        {"user": ["default off", "alice on >se/cr:et ~* &* +@all"]}, username="alice", password="se/cr:et"
    )
    with server.client() as alice:
        assert alice.ping()
    with redis.Redis(port=server.port, retry=None) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.ping()


def test_a_full_redis_says_so(new_redis) -> None:
    server = new_redis({"maxmemory": "2mb", "maxmemory-policy": "noeviction"})
    with server.client() as client, pytest.raises(redis.OutOfMemoryError):
        client.mset({f"key-{i}": b"x" * 100_000 for i in range(100)})


def test_a_redis_that_cannot_start_shows_its_log() -> None:
    server = RedisServer({"appendfsync": "sometimes"})
    with pytest.raises(ServerError, match="appendfsync"):
        server.__enter__()
    assert not server.running


def test_url_of_a_redis_with_tls_names_the_authority(tmp_path) -> None:
    files = Authority(tmp_path).issue("127.0.0.1")
    assert RedisServer(tls=files).url.startswith("rediss://127.0.0.1:")
    assert RedisServer(tls=files).url.endswith("authority.pem")
