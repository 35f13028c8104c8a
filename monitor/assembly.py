"""Putting a worker together from its config."""

from __future__ import annotations

from monitor.alerts.alert import Alert
from monitor.codec_services import codec_services
from monitor.config import Config
from monitor.config.kafka_properties import for_consumer, for_producer
from monitor.metrics.endpoint import Endpoint
from monitor.metrics.instruments import Instruments
from monitor.pipeline import Pipeline
from monitor.state_topic import StateTopic
from monitor.watch import open_watches
from monitor.worker import Worker
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import DeliveryConfirmedProducer, PendingDelivery
from streams.state.redis_connection import RedisConnection


def open_worker(config: Config) -> Worker:
    """Make a worker with all that it needs; nothing is consumed before its ``run``.

    Parameters
    ----------
    config
        What to watch.

    Raises
    ------
    BundleError
        If a bundle cannot be loaded.
    ConfigError
        If a bundle is not what its monitor needs, or monitors contradict each other.
    """
    instruments = Instruments()
    connection = RedisConnection(**config.redis.connection_options())
    producer = DeliveryConfirmedProducer(for_producer(config.kafka.properties))

    def send_alert(topic: str, alert: Alert) -> PendingDelivery:
        return producer.send(topic, alert.value, key=alert.key, headers=alert.headers)

    state = None
    if config.state is not None:
        state = StateTopic(config.state.topic, producer, for_consumer(config.kafka.properties))
    watches = open_watches(
        config.monitors,
        connection,
        send_alert,
        state=state,
        prefix=config.redis.prefix,
        lease_ms=int(config.worker.lease_seconds * 1000),
        instruments=instruments,
    )
    pipeline = Pipeline(
        watches,
        connection,
        DeadLetters(producer),
        instruments=instruments,
        codec_services=codec_services(config),
    )
    endpoint = None
    if config.worker.http is not None:
        endpoint = Endpoint(config.worker.http, config, instruments, lambda: pipeline.monitors)
    return Worker(config, pipeline, producer, instruments, endpoint)
