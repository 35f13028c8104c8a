"""The scores topic: every instance's score and flag, one small JSON record each, to be joined to its event.

Scores are sent before they are counted, and offsets are committed after their delivery, so each score arrives
at least once. A repeat has the same topic, partition, offset and instance, and the same score.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monitor.routing import WHOLE_STREAM
from monitor.topic_reader import MonitorRows
from streams.kafka.producer import Sender
from streams.records import RecordBatch

_SEPARATOR = "\n"
"""Stands in no JSON text, so that what is encoded at once can be taken apart."""


class ScoresTopic:
    """Sends scores.

    Parameters
    ----------
    producer
        Confirms their delivery.
    """

    def __init__(self, producer: Sender) -> None:
        self._producer = producer

    def send(self, topic: str, part: MonitorRows, records: RecordBatch) -> None:
        """Send a monitor's scores of a batch, each with its event's key, so that both are partitioned alike.

        Raises
        ------
        KafkaError
            If an earlier record cannot be delivered.
        """
        config = part.watch.config
        values = encode_scores(config.name, records.topic, part, part.watch.detector.threshold)
        keys = records.keys
        self._producer.send_all(topic, values, [keys[row] for row in part.records.tolist()])


def encode_scores(monitor: str, topic: str, part: MonitorRows, threshold: float | None) -> list[bytes]:
    """Encode the scores of a batch, one record an instance.

    Parameters
    ----------
    monitor, topic
        Name of the monitor, and where its events come from.
    part
        The scores.
    threshold
        Score above which an instance is flagged; None where the detector has none, and ``null`` is said then.
    """
    rows = part.rows
    n = len(rows.scores)
    # Neither name can hold a percent sign.
    template = (
        f'{{"monitor":{json.dumps(monitor)},"topic":{json.dumps(topic)},"partition":%d,"offset":%d,'
        f'"instance":%d,"id":%s,"segment":%s,"score":%.9g,"is_adversarial":%s}}{_SEPARATOR}'
    )
    ids = None if rows.ids is None else [rows.ids[row] for row in rows.rows.tolist()]
    columns = (
        rows.partitions.tolist(),
        rows.offsets.tolist(),
        _instances(part.records).tolist(),
        _texts(ids, n, "null"),
        _texts(part.segments, n, json.dumps(WHOLE_STREAM)),
        rows.scores.tolist(),
        _flags(rows.scores, threshold),
    )
    return "".join(map(template.__mod__, zip(*columns, strict=True))).encode().split(b"\n")[:n]


def _instances(records: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number the instances of each event from 0, given the record of each instance, never decreasing."""
    numbers: npt.NDArray[np.int64] = np.arange(len(records)) - np.searchsorted(records, records)
    return numbers


def _texts(texts: Sequence[str | None] | None, n: int, otherwise: str) -> Sequence[str]:
    if texts is None:
        return [otherwise] * n
    return json.dumps(texts, separators=(_SEPARATOR, ":"))[1:-1].split(_SEPARATOR) if n else []


def _flags(scores: npt.NDArray[np.float32], threshold: float | None) -> Sequence[str]:
    if threshold is None:
        return ["null"] * len(scores)
    return [("false", "true")[flag] for flag in (scores > threshold).tolist()]
