"""Putting a worker together from its config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from monitor.alerts.alert import Alert
from monitor.bundle_shelf import BundleShelf
from monitor.codec_services import codec_services
from monitor.config import Config, MonitorConfig
from monitor.config.kafka_properties import for_consumer, for_producer
from monitor.metrics.endpoint import Endpoint
from monitor.metrics.instruments import Instruments
from monitor.pipeline import Pipeline
from monitor.reload import Reloader
from monitor.scores_topic import ScoresTopic
from monitor.state_topic import StateTopic
from monitor.stores.in_redis import RedisStores
from monitor.watch import Watch, open_watches
from monitor.worker import Worker
from streams.kafka.dead_letters import DeadLetters
from streams.kafka.producer import DeliveryConfirmedProducer, PendingDelivery
from streams.state.redis_connection import RedisConnection


def open_worker(config: Config, path: Path | None = None) -> Worker:
    """Make a worker with all that it needs; nothing is consumed before its ``run``.

    Parameters
    ----------
    config
        What to watch.
    path
        The file it was read from, to take up changes of it; None for none.

    Raises
    ------
    BundleError
        If a bundle cannot be loaded.
    ConfigError
        If a bundle is not what its monitor needs, or monitors contradict each other.
    """
    instruments = Instruments()
    connection = RedisConnection(**config.redis.connection_options())
    stores = RedisStores(connection, config.redis.prefix, int(config.worker.lease_seconds * 1000))
    producer = DeliveryConfirmedProducer(for_producer(config.kafka.properties))

    def send_alert(topic: str, alert: Alert) -> PendingDelivery:
        return producer.send(topic, alert.value, key=alert.key, headers=alert.headers)

    state = None
    if config.state is not None:
        state = StateTopic(config.state.topic, producer, for_consumer(config.kafka.properties))
    bundles = BundleShelf()

    def open_all(monitors: Sequence[MonitorConfig]) -> list[Watch]:
        return open_watches(
            monitors,
            stores,
            send_alert,
            state=state,
            instruments=instruments,
            bundles=bundles,
        )

    watches = open_all(config.monitors)
    pipeline = Pipeline(
        watches,
        stores,
        DeadLetters(producer),
        instruments=instruments,
        scores=ScoresTopic(producer),
        codec_services=codec_services(config, connection),
    )
    reloader = None if path is None else Reloader(path, config, watches, bundles, open_all, pipeline.check)
    endpoint = None
    if config.worker.http is not None:
        endpoint = Endpoint(config.worker.http, config, instruments, lambda: pipeline.monitors)
    return Worker(config, pipeline, producer, instruments, endpoint, reloader)
