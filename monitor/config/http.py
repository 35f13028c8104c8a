"""The section that opens a worker's HTTP endpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from monitor.config.section import Section
from monitor.config.types import NonBlank


class HttpConfig(Section):
    """Where a worker serves `/metrics`, `/healthz` and `/readyz`, to anyone who can reach the address."""

    host: NonBlank = "127.0.0.1"
    """Address to listen on; `0.0.0.0` for all, as in a container."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464
    """Port to listen on; 0 for any that is free, which the log names."""
    max_segments: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Segments of a monitor up to which each has metrics of its own; beyond, they are told in sum."""
