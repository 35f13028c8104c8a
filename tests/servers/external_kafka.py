"""A broker that somebody else runs: what ``KAFKA_BOOTSTRAP_SERVERS`` names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExternalBroker:
    """Address of a broker that the tests use and never stop."""

    bootstrap: str
    real = True

    def close(self) -> None:
        """Leave it running."""
