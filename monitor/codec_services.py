"""What codecs may ask for beside their options, made from the config."""

from __future__ import annotations

from typing import Any

from monitor.config import Config
from streams.registry.client import SchemaRegistryClient
from streams.state.memory_pairs import MemoryPairs
from streams.state.pair_store import PairStore
from streams.state.redis_connection import RedisConnection


def codec_services(config: Config, connection: RedisConnection) -> dict[str, Any]:
    """Return what the config has of ``streams.codecs.protocol.SERVICES``; nothing is connected to yet.

    Raises
    ------
    SchemaRegistryError
        If a certificate for the schema registry cannot be read.
    """
    return {**recorded_codec_services(config), "pairs": PairStore(connection, config.redis.prefix)}


def recorded_codec_services(config: Config) -> dict[str, Any]:
    """Return what there is of them for events of the past, for which Redis is not asked.

    Raises
    ------
    SchemaRegistryError
        If a certificate for the schema registry cannot be read.
    """
    services: dict[str, Any] = {"pairs": MemoryPairs()}
    if config.schema_registry is not None:
        services["schema_registry"] = SchemaRegistryClient(config.schema_registry.address)
    return services
