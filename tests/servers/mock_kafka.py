"""The mock cluster inside librdkafka: what the suite falls back to where Apache Kafka cannot run."""

from __future__ import annotations

from confluent_kafka import Producer

MOCK_PARTITIONS = 4
"""Partitions that every topic of librdkafka's mock cluster has; it cannot be told otherwise from Python."""


class MockBroker:
    """A broker that lives in this process as long as the object does.

    It answers produce, fetch and consumer group requests from memory, keeps only 5 MB a partition, and knows
    no admin requests: a topic comes into being when it is first asked for.
    """

    real = False

    def __init__(self) -> None:
        self._owner: Producer | None = None
        self._bootstrap = ""

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return self._bootstrap

    def start(self) -> MockBroker:
        """Start it; returns itself."""
        self._owner = Producer(
            {"bootstrap.servers": "replaced.by.the.mock", "test.mock.num.brokers": 1, "log_level": 0}
        )
        broker = next(iter(self._owner.list_topics(timeout=10).brokers.values()))
        self._bootstrap = f"{broker.host}:{broker.port}"
        return self

    def close(self) -> None:
        """End it, and with it all that it held."""
        self._owner = None
