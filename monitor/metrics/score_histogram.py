"""A histogram that takes a whole batch of scores at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from threading import Lock

import numpy as np
import numpy.typing as npt
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

BOUNDS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the buckets, two a decade: students trained well score clean inputs at 1e-4 and less, and a
teacher that is sure of the opposite of what its student says at 10 and more."""


class ScoreHistogram(Collector):
    """Scores by monitor, as a Prometheus histogram with the bounds ``BOUNDS``.

    Parameters
    ----------
    name, documentation
        Of the metric.
    """

    def __init__(self, name: str, documentation: str) -> None:
        self._name = name
        self._documentation = documentation
        self._bounds = np.array(BOUNDS)
        self._counts: dict[str, npt.NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}
        self._lock = Lock()

    def observe(self, monitor: str, scores: npt.NDArray[np.float32]) -> None:
        """Count scores, shape (n,)."""
        # A bucket holds the scores up to its bound and including it: Prometheus' ``le``.
        buckets = np.searchsorted(self._bounds, scores, side="left")
        counts = np.bincount(buckets, minlength=len(BOUNDS) + 1)
        with self._lock:
            self._counts[monitor] = self._counts.get(monitor, 0) + counts
            self._sums[monitor] = self._sums.get(monitor, 0.0) + float(scores.sum(dtype=np.float64))

    def keep(self, monitors: Collection[str]) -> None:
        """Drop the scores of all other monitors."""
        with self._lock:
            for monitor in self._counts.keys() - set(monitors):
                del self._counts[monitor], self._sums[monitor]

    def collect(self) -> Iterable[Metric]:
        """Return the histogram of every monitor."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=["monitor"])
        with self._lock:
            for monitor, counts in self._counts.items():
                heights = np.cumsum(counts).tolist()
                buckets = [*zip(map(str, BOUNDS), heights, strict=False), ("+Inf", heights[-1])]
                family.add_metric([monitor], buckets=buckets, sum_value=self._sums[monitor])
        yield family
