"""A worker that runs for long: what it has counted, and how much memory it takes."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from monitor.verdicts.verdict import Verdict
from streams.state.redis_connection import RedisUnavailableError
from tests.traffic import MonitorState

SAMPLE_SECONDS = 0.5


@dataclass
class Memory:
    """Resident memory of a worker by how far it was.

    Attributes
    ----------
    samples
        How many events were counted, and the memory in KiB then.
    total
        Events in all.
    """

    samples: list[tuple[int, int]]
    total: int

    def part(self, first: float, last: float) -> npt.NDArray[np.float64]:
        """Return the samples between two shares of the events, in MiB."""
        found = [kib / 1024 for n, kib in self.samples if first <= n / self.total <= last]
        assert found, f"no sample between {first:.0%} and {last:.0%} of the events"
        return np.array(found)

    @property
    def growth(self) -> float:
        """By how much the highest of the last nine tenths exceeds the highest of the first one."""
        return float(self.part(0.1, 1).max() / self.part(0, 0.1).max() - 1)

    def report(self) -> str:
        """Return the figures as lines."""
        lines = ["memory of the worker, MiB         median  highest"]
        for tenth in range(10):
            part = self.part(tenth / 10, (tenth + 1) / 10)
            lines.append(f"  tenth {tenth + 1:<20}{np.median(part):>12,.0f}{part.max():>9,.0f}")
        return "\n".join([*lines, f"  growth after the first tenth{self.growth:>20.1%}"])


class Watch:
    """Looks again and again at what a worker has counted and at its memory.

    Redis keeps only the latest verdicts of a segment, so they are gathered on the way.

    Parameters
    ----------
    redis_url
        Where Redis is.
    segments
        Monitors and segments.
    pid
        Of the worker.
    """

    def __init__(self, redis_url: str, segments: Collection[tuple[str, str]], pid: int) -> None:
        self.counted = 0
        self.samples: list[tuple[int, int]] = []
        self.verdicts: dict[tuple[str, str], dict[int, Verdict]] = {name: {} for name in segments}
        self.states = {monitor: MonitorState(redis_url, monitor) for monitor, _ in segments}
        self._status = Path(f"/proc/{pid}/status")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self) -> None:
        """Read what has been counted and decided."""
        for (monitor, segment), known in self.verdicts.items():
            known.update((verdict.sequence, verdict) for verdict in self.states[monitor].verdicts(segment))
        self.counted = min(sum(state.counted().values()) for state in self.states.values())

    def settled(self) -> bool:
        """Whether every closed window has its verdict."""
        for state in self.states.values():
            with state.connection.client() as client:
                if client.hlen(state.keys.closed):
                    return False
        return True

    def stop(self) -> None:
        """Look no more by itself: the worker is about to end."""
        self._ending.set()
        self._thread.join()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for state in self.states.values():
            state.connection.close()

    def _run(self) -> None:
        while not self._ending.wait(SAMPLE_SECONDS):
            try:
                self.look()
            except RedisUnavailableError:
                continue  # It is one of the faults; the next look will do.
            if self.counted:
                self.samples.append((self.counted, _resident_kib(self._status)))


def _resident_kib(status: Path) -> int:
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1])
