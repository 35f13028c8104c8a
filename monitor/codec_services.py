"""What codecs may ask for beside their options, made from the config."""

from __future__ import annotations

from typing import Any

from monitor.config import Config
from streams.registry.client import SchemaRegistryClient


def codec_services(config: Config) -> dict[str, Any]:
    """Return what the config has of ``streams.codecs.protocol.SERVICES``; nothing is connected to yet.

    Raises
    ------
    SchemaRegistryError
        If a certificate for the schema registry cannot be read.
    """
    if config.schema_registry is None:
        return {}
    return {"schema_registry": SchemaRegistryClient(config.schema_registry.address)}
