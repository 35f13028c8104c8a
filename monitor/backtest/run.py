"""Running a config over events of the past: the worker's pipeline with its state in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.alerts.alert import Alert
from monitor.backtest.outcome import MonitorOutcome, Recorder
from monitor.backtest.recorded import RecordedEvents
from monitor.bundle_shelf import BundleShelf
from monitor.codec_services import recorded_codec_services
from monitor.config import Config, MonitorConfig
from monitor.garbage import GarbageBetweenBatches
from monitor.pipeline import Pipeline
from monitor.stores.in_memory import MemoryStores
from monitor.verdicts.ledger import Delivered
from monitor.watch import Watch, open_watches


@dataclass(frozen=True)
class Backtest:
    """What one config did with the events.

    Attributes
    ----------
    name
        What to call the config.
    monitors
        What each of its monitors did.
    events, rejected
        Events read, and those of them that could not be read or scored.
    seconds
        How long it took.
    """

    name: str
    monitors: Sequence[MonitorOutcome]
    events: int
    rejected: int
    seconds: float

    @property
    def start_ms(self) -> int:
        """Earliest event time of a tested window, milliseconds since 1970; 0 without any."""
        return min((s.verdicts[0].start_ms for m in self.monitors for s in m.segments.values()), default=0)

    @property
    def end_ms(self) -> int:
        """Latest event time of a tested window, milliseconds since 1970; 0 without any."""
        return max((s.verdicts[-1].end_ms for m in self.monitors for s in m.segments.values()), default=0)


def run_backtest(
    name: str,
    config: Config,
    monitors: Sequence[MonitorConfig],
    events: RecordedEvents,
    *,
    bundles: BundleShelf,
    references: Mapping[str, npt.NDArray[np.float32]] | None = None,
    show: Callable[[int], None] = lambda _: None,
) -> Backtest:
    """Run monitors over events; neither Redis nor any topic is written to.

    Parameters
    ----------
    name
        What to call the config.
    config
        The config.
    monitors
        Which of its monitors; all read the topic of the events.
    events
        The events.
    bundles
        Bundles loaded already.
    references
        Scores to test against, by monitor; others are tested against what their bundle holds.
    show
        Told after each batch how many events are done.

    Raises
    ------
    BundleError, ConfigError, CodecError
        If a monitor cannot work as its config says.
    """
    recorder = Recorder()
    stores = MemoryStores(recorder.settled, references)
    watches = open_watches(monitors, stores, _deliver_nothing, state=None, bundles=bundles)
    pipeline = Pipeline(watches, stores, recorder, codec_services=recorded_codec_services(config))
    pipeline.attach()
    begun = time.monotonic()
    done = rejected = 0
    with GarbageBetweenBatches() as garbage:
        for records in events.batches(config.worker.batch_size):
            scored = pipeline.score(records)
            pipeline.count(scored)
            pipeline.settle()
            done += len(records)
            rejected += scored.rejected
            show(done)
            garbage.look()
    outcomes = [_outcome(watch, recorder) for watch in watches]
    return Backtest(name, outcomes, done, rejected, time.monotonic() - begun)


def _outcome(watch: Watch, recorder: Recorder) -> MonitorOutcome:
    version = watch.references.current() or ""
    rejected, rejects = recorder.rejected(watch.config.dead_letters.topic)
    return MonitorOutcome(
        config=watch.config,
        reference=watch.references.get(version),
        reference_version=version,
        score_threshold=watch.detector.threshold,
        segments=recorder.segments(watch.config),
        rejected=rejected,
        rejects=rejects,
    )


def _deliver_nothing(topic: str, alert: Alert) -> Delivered:
    # Which alerts there would have been is in the states of the segments.
    return Delivered()
