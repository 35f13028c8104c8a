"""How far a worker is behind the topics that it reads, measured when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.config.kafka_properties import PropertyValue, for_consumer, for_producer
from monitor.metrics.instruments import Instruments
from streams.errors import KafkaUnavailableError
from streams.kafka.client_log import client_log
from streams.kafka.group_offsets import Partition

ANSWER_SECONDS = 2.0
"""How long Kafka has to answer; Prometheus gives up on a scrape after 10 s."""


class PartitionLag(NamedTuple):
    """How far a worker is behind in one partition.

    Attributes
    ----------
    offsets
        Records that are in the partition and not counted yet.
    seconds
        At most how long the oldest of them has been there; 0 when there is none.
    """

    offsets: int
    seconds: float


class Lag(Collector):
    """Measures the lag of a worker, with a Kafka client of its own: the worker's stands still in an outage.

    Parameters
    ----------
    properties
        librdkafka properties of the config.
    instruments
        Where the worker says how far it has come.
    """

    def __init__(self, properties: Mapping[str, PropertyValue], instruments: Instruments) -> None:
        self._instruments = instruments
        common = for_producer(for_consumer(properties))
        self._admin = AdminClient({**common, "logger": client_log, "error_cb": lambda _: None})
        self._level_at: dict[Partition, float] = {}

    def measure(self) -> dict[Partition, PartitionLag]:
        """Measure the lag in each of the worker's partitions.

        Raises
        ------
        KafkaUnavailableError
            If Kafka does not answer in time.
        """
        positions = dict(self._instruments.positions)
        now = time.time()
        lags = {}
        for partition, end in self._ends(positions).items():
            offsets = max(0, end - positions[partition])
            if not offsets:
                self._level_at[partition] = now
            # What is not counted yet came after the last record that is, and after the partition was last
            # seen without any.
            counted_at = self._instruments.read_until_ms.get(partition, -1) / 1000
            since = max(counted_at, self._level_at.get(partition, 0.0))
            lags[partition] = PartitionLag(offsets, max(0.0, now - since) if offsets and since > 0 else 0.0)
        return lags

    def collect(self) -> Iterable[Metric]:
        """Return the lag, and whether Kafka answers."""
        labels = ["topic", "partition"]
        offsets = GaugeMetricFamily(
            "drift_monitor_lag_offsets", "Records of a partition that are not counted yet.", labels=labels
        )
        seconds = GaugeMetricFamily(
            "drift_monitor_lag_seconds", "Age of the oldest record that is not counted yet.", labels=labels
        )
        up = 1
        try:
            for (topic, number), lag in self.measure().items():
                offsets.add_metric([topic, str(number)], lag.offsets)
                seconds.add_metric([topic, str(number)], lag.seconds)
        except KafkaUnavailableError:
            up = 0
        yield offsets
        yield seconds
        yield GaugeMetricFamily("drift_monitor_kafka_up", "1 when Kafka answers, else 0.", value=up)

    def _ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        wanted = {TopicPartition(*partition): OffsetSpec.latest() for partition in partitions}
        try:
            if not wanted:
                self._admin.list_topics(timeout=ANSWER_SECONDS)
                return {}
            asked: Any = self._admin.list_offsets(wanted, request_timeout=ANSWER_SECONDS)
            return {
                Partition(place.topic, place.partition): found.result().offset
                for place, found in asked.items()
            }
        except KafkaException as error:
            raise KafkaUnavailableError(
                f"Kafka does not tell where the topics end: {error.args[0].str()}"
            ) from error
