"""Alerts as subscribers see them: the CloudEvents of the alert topic, typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from monitor.alerts.policy import AlertKind, DriftState


@dataclass(frozen=True)
class AlertWindow:
    """The window whose verdict brought the alert about.

    Attributes
    ----------
    sequence
        Its number in its segment.
    size
        Number of its scores.
    start, end
        Times of its earliest and latest event.
    offsets
        First and last offset (both inclusive) by topic and partition.
    """

    sequence: int
    size: int
    start: datetime
    end: datetime
    offsets: Mapping[str, Mapping[int, tuple[int, int]]]


@dataclass(frozen=True)
class AlertTest:
    """The window test and its result; drift is a ``p_value`` below ``threshold``."""

    name: str
    alternative: str
    statistic: float
    p_value: float
    threshold: float


@dataclass(frozen=True)
class AlertReference:
    """What the window was tested against: its version, number of scores and their mean."""

    version: str
    size: int
    mean: float


@dataclass(frozen=True)
class AlertScores:
    """The window's scores in brief.

    Attributes
    ----------
    mean, max
        Of the scores.
    threshold
        Score above which an instance is flagged; None when the detector has none.
    flagged_fraction
        Share of scores above it.
    """

    mean: float
    max: float
    threshold: float | None
    flagged_fraction: float | None


@dataclass(frozen=True)
class AlertExample:
    """One of the window's highest-scoring events, and where it can be fetched again."""

    id: str | None
    topic: str
    partition: int
    offset: int
    score: float


@dataclass(frozen=True)
class ReceivedAlert:
    """An alert, read from the alert topic.

    Attributes
    ----------
    id
        Names the alert; a repeat has the id of the original.
    kind
        What it reports: ``detected``, ``ongoing`` or ``resolved``.
    time
        When the window was tested.
    monitor, segment
        What it is about; the segment is ``all`` for a whole stream.
    state
        Where the segment stands now.
    since
        Since when it stands so.
    window, test, reference, scores
        The evidence.
    examples
        Highest-scoring events of the window, highest first.
    event
        The CloudEvent as it came, with what later versions may add.
    """

    id: str
    kind: AlertKind
    time: datetime
    monitor: str
    segment: str
    state: DriftState
    since: datetime
    window: AlertWindow
    test: AlertTest
    reference: AlertReference
    scores: AlertScores
    examples: Sequence[AlertExample]
    event: Mapping[str, Any]

    @classmethod
    def read(cls, value: bytes | str) -> ReceivedAlert:
        """Read a CloudEvent in structured mode; fields that this version does not know are let pass.

        Raises
        ------
        ValueError
            If it is no alert of drift-monitor, version 1.
        """
        try:
            event = json.loads(value)
            return cls._of(event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"This is no alert of drift-monitor, version 1 ({type(error).__name__} {error}):"
                f" {value[:60]!r}"
            ) from error

    @classmethod
    def _of(cls, event: Mapping[str, Any]) -> ReceivedAlert:
        source, subject, kind, version = event["type"].split(".")
        if (event["specversion"], source, subject, version) != ("1.0", "drift-monitor", "drift", "v1"):
            raise ValueError(f"its type is {event['type']!r}")
        data = event["data"]
        window, test, reference, scores = data["window"], data["test"], data["reference"], data["scores"]
        return cls(
            id=event["id"],
            kind=AlertKind(kind),
            time=_time(event["time"]),
            monitor=data["monitor"],
            segment=data["segment"],
            state=DriftState(data["state"]),
            since=_time(data["since"]),
            window=AlertWindow(
                sequence=window["sequence"],
                size=window["size"],
                start=_time(window["start_time"]),
                end=_time(window["end_time"]),
                offsets={
                    topic: {int(number): (first, last) for number, (first, last) in spans.items()}
                    for topic, spans in window["offsets"].items()
                },
            ),
            test=AlertTest(
                test["name"], test["alternative"], test["statistic"], test["p_value"], test["threshold"]
            ),
            reference=AlertReference(reference["version"], reference["size"], reference["mean"]),
            scores=AlertScores(
                scores["mean"], scores["max"], scores["threshold"], scores["flagged_fraction"]
            ),
            examples=tuple(
                AlertExample(one["id"], one["topic"], one["partition"], one["offset"], one["score"])
                for one in data["examples"]
            ),
            event=event,
        )


def _time(text: str) -> datetime:
    # Python 3.10 does not read the Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
