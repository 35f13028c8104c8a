"""Where to begin reading a partition that was just assigned, or that is to be read again."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from monitor.config import Config
from monitor.errors import MonitorError
from monitor.logs import about
from monitor.metrics.instruments import Instruments
from monitor.pipeline import Pipeline
from streams.kafka.commits import Mark, start_of
from streams.kafka.group_offsets import GroupOffsets, Partition

log = logging.getLogger(__name__)

LONGEST_UNTOLD_MS = 600_000
"""How long a partition may have been added to a topic before a worker is told: twice librdkafka's default."""


class Starts:
    """Decides where reading begins, from what Kafka and Redis know, and says what that means.

    Parameters
    ----------
    config
        The config.
    pipeline
        Its monitors.
    offsets
        What the group has committed, and what the partitions hold.
    instruments
        Metrics of the worker.
    """

    def __init__(
        self, config: Config, pipeline: Pipeline, offsets: GroupOffsets, instruments: Instruments
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._offsets = offsets
        self._instruments = instruments

    def start(self, partition: Partition, mark: Mark | None, default: int | None = None) -> int:
        """Return the first offset to read of a partition.

        Parameters
        ----------
        partition
            The partition.
        mark
            What was committed of it; None when nothing was.
        default
            Where to begin when neither Kafka nor Redis knows anything; when None, as ``auto.offset.reset``
            says.

        Raises
        ------
        KafkaUnavailableError, RedisUnavailableError
            If they cannot answer right now.
        StateLostError
            If Redis no longer holds the data set that the pipeline is attached to.
        MonitorError
            If offsets are gone that were not counted, and that is to be an error.
        """
        # Asked before the bounds, which move on: others may be counting what comes in just now.
        counted = self._pipeline.counted(partition)
        log_start, log_end = self._offsets.bounds(partition)
        if default is None:
            default = log_start if mark else self._beginning(partition, log_start, log_end)
        start = start_of(mark, counted, log_start, log_end, default)
        self.admit(partition, start.joining, start.offset, log_end)
        where = f"partition {partition.number} of topic {partition.topic!r}"
        said = about(log, topic=partition.topic, partition=partition.number)
        if start.recreated:
            said.warning(
                "Counted further than %s reaches (%d): its topic is new and is read from the start.",
                where,
                log_end,
            )
            self._pipeline.restart_counting(partition, counted)
        if start.missing:
            self._instruments.missed(partition.topic, start.missing)
            lost = f"{start.missing} offsets of {where} are no longer in the topic and cannot be counted"
            if self._config.worker.on_missing_offsets == "stop":
                raise MonitorError(
                    f"{lost}; worker.on_missing_offsets is 'stop'. Set it to 'continue' to go on from offset"
                    f" {start.offset}, and give the topic a longer retention."
                )
            said.error("%s: its retention is short.", lost)
        if start.rebuilds:
            said.warning(
                "Redis holds less than was committed of %s; rebuilding from %d.", where, start.offset
            )
        return start.offset

    def _beginning(self, partition: Partition, log_start: int, log_end: int) -> int:
        """Where a partition begins that nothing was committed of, as ``auto.offset.reset`` says."""
        properties = self._config.kafka.properties
        if properties.get("auto.offset.reset") not in ("latest", "end", "largest"):
            return log_start
        older = [Partition(partition.topic, number) for number in range(partition.number)]
        if all(mark is None for mark in self._offsets.committed(older).values()):
            return log_end
        # It was added to a topic that the group knows, and events came in before any worker was told of it.
        untold_ms = 2 * int(properties.get("topic.metadata.refresh.interval.ms", 0))
        since_ms = int(time.time() * 1000) - max(untold_ms, LONGEST_UNTOLD_MS)
        return self._offsets.offset_at(partition, since_ms, log_end)

    def admit(
        self, partition: Partition, joining: Mapping[str, int | None], position: int, log_end: int
    ) -> None:
        """Let monitors that were not watched before begin at a position, and say what that means for them."""
        where = f"partition {partition.number} of topic {partition.topic!r}"
        for name, counted in joining.items():
            said = about(log, monitor=name, topic=partition.topic, partition=partition.number)
            if counted is None:
                said.info("Monitor %r begins at offset %d of %s.", name, position, where)
            elif counted > log_end:
                self._pipeline.restart_counting(partition, [name])
                said.warning("Monitor %r once counted a former topic; it begins anew with %s.", name, where)
            elif counted < position:
                said.warning(
                    "Monitor %r is watched again; offsets %d to %d of %s passed without it.",
                    name,
                    counted,
                    position - 1,
                    where,
                )
