"""Free loopback ports for servers that are restarted on the port they had."""

from __future__ import annotations

import random
import socket
from pathlib import Path

HOST = "127.0.0.1"

LOWEST_PORT = 20_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL_START = 32_768
"""Where Linux starts to number the client side of connections, unless its settings say otherwise."""


def free_ports(n: int) -> list[int]:
    """Return ``n`` distinct ports of 127.0.0.1 that nothing listens on at this moment.

    They lie below the range from which the system numbers outgoing connections. A port of that range can be
    taken while its server is down: by any client, even by one that retries this very port and so connects to
    itself.
    """
    candidates = range(LOWEST_PORT, max(_ephemeral_start(), LOWEST_PORT + 10_000))
    ports: list[int] = []
    for port in random.SystemRandom().sample(candidates, k=len(candidates)):
        if len(ports) == n:
            break
        if _is_free(port):
            ports.append(port)
    return ports


def _ephemeral_start() -> int:
    if not EPHEMERAL_RANGE.exists():
        return EPHEMERAL_START
    return int(EPHEMERAL_RANGE.read_text().split()[0])


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
