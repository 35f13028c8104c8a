"""Check of the schema registry before work begins: reachable, trusted, and willing to answer."""

from __future__ import annotations

from monitor.checks.findings import Finding, failed, ok
from monitor.config.connections import SchemaRegistryConfig
from streams.errors import SchemaRegistryError
from streams.registry.client import SchemaRegistryClient

SUBJECT = "schema registry"


def check_schema_registry(config: SchemaRegistryConfig) -> Finding:
    """List the subjects, as the config says to log in."""
    try:
        subjects = SchemaRegistryClient(config.address).check()
    except SchemaRegistryError as error:
        return failed(SUBJECT, f"{str(error).rstrip('.')}.")
    return ok(SUBJECT, f"{config.url} answers, {subjects} subjects")
