"""Putting a pipeline, and a worker around it, together from their config."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from streams.kafka.producer import DeliveryConfirmedProducer, PendingDelivery, Sender
from streams.kafka.returned_requests import ReturnedRequests
from streams.state.redis_connection import RedisConnection


@dataclass(frozen=True)
class OpenedPipeline:
    """A pipeline and what more monitors for it can be made of.

    Attributes
    ----------
    pipeline
        Ready, but not yet attached to what Redis holds.
    bundles
        The bundles that its monitors hold.
    open_watches
        Makes further monitors with the same connections.
    """

    pipeline: Pipeline
    bundles: BundleShelf
    open_watches: Callable[[Sequence[MonitorConfig]], list[Watch]]


def open_pipeline(config: Config, sender: Sender, instruments: Instruments) -> OpenedPipeline:
    """Make the pipeline of a config with its state in Redis.

    Parameters
    ----------
    config
        What to watch.
    sender
        Sends alerts, dead letters, scores and standings.
    instruments
        Metrics, kept by the pipeline.

    Raises
    ------
    BundleError
        If a bundle cannot be loaded.
    ConfigError
        If a bundle is not what its monitor needs, or monitors contradict each other.
    """
    connection = RedisConnection(**config.redis.connection_options())
    stores = RedisStores(connection, config.redis.prefix, int(config.worker.lease_seconds * 1000))

    def send_alert(topic: str, alert: Alert) -> PendingDelivery:
        return sender.send(topic, alert.value, key=alert.key, headers=alert.headers)

    state = None
    if config.state is not None:
        state = StateTopic(config.state.topic, sender, for_consumer(config.kafka.properties))
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

    pipeline = Pipeline(
        open_all(config.monitors),
        stores,
        DeadLetters(sender),
        instruments=instruments,
        scores=ScoresTopic(sender),
        codec_services=codec_services(config, connection),
        returned=ReturnedRequests(sender),
    )
    return OpenedPipeline(pipeline, bundles, open_all)


def open_reloader(
    path: Path, config: Config, opened: OpenedPipeline, check: Callable[[Sequence[Watch]], None]
) -> Reloader:
    """Make what takes up changes of the file that a config was read from."""
    return Reloader(path, config, opened.pipeline.watches, opened.bundles, opened.open_watches, check)


def open_endpoint(config: Config, pipeline: Pipeline, instruments: Instruments) -> Endpoint | None:
    """Make what serves the metrics, if the config asks for it."""
    if config.worker.http is None:
        return None
    return Endpoint(config.worker.http, config, instruments, lambda: pipeline.monitors)


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
    producer = DeliveryConfirmedProducer(for_producer(config.kafka.properties))
    opened = open_pipeline(config, producer, instruments)
    pipeline = opened.pipeline
    reloader = None if path is None else open_reloader(path, config, opened, pipeline.check)
    endpoint = open_endpoint(config, pipeline, instruments)
    return Worker(config, pipeline, producer, instruments, endpoint, reloader)
