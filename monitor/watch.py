"""One monitor at work: its detector, reference, windows and ledger, put together from config."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from detectors import Bundle, ModelDistillation
from detectors.promises.promises import Threshold
from detectors.window_tests import WindowTest
from monitor.alerts.alert import Alert, AlertSource, build_alert
from monitor.alerts.policy import AlertKind, AlertState
from monitor.bundle_shelf import BundleShelf
from monitor.config import MonitorConfig
from monitor.errors import ConfigError
from monitor.logs import about
from monitor.metrics.instruments import Instruments
from monitor.plugins import Preparation
from monitor.policies import alert_policy
from monitor.routing import Route
from monitor.state_topic import StateTopic
from monitor.stores.protocol import Stores
from monitor.verdicts.discoveries import Undecided
from monitor.verdicts.ledger import Delivered, Delivery, Ledger
from monitor.verdicts.promises import monitor_test, threshold_rule
from monitor.verdicts.standing import Standing
from monitor.verdicts.tied_scores import TieOrder
from monitor.verdicts.verdict import JudgedWindow, judge
from streams.events import EventBatch, EventSchema
from streams.state.founding import Foundation, OtherWindowsError
from streams.state.windows import ClosedWindow

log = logging.getLogger(__name__)

SendAlert: TypeAlias = Callable[[str, Alert], Delivery]
"""Sends an alert to a topic."""


class Watch:
    """A monitor of the config, ready to score events and judge windows.

    Parameters
    ----------
    config
        What to watch.
    bundle
        The detector with its reference.
    stores
        Where its state is kept.
    send_alert
        Sends alerts.
    state
        Where standings are kept beside the stores; None for nowhere.
    instruments
        Metrics of the worker.

    Attributes
    ----------
    bundle
        The detector with its reference.
    route
        Which events it watches.
    undecided
        Windows with a p-value whose threshold depends on other monitors' windows too.
    """

    def __init__(
        self,
        config: MonitorConfig,
        bundle: Bundle,
        stores: Stores,
        send_alert: SendAlert,
        *,
        state: StateTopic | None,
        instruments: Instruments | None = None,
    ) -> None:
        self.config = config
        self.bundle = bundle
        self.route = Route.of(config)
        self.detector = _distillation(config, bundle)
        self._prepare = _preparation(config, self.detector)
        self._reference_scores = _reference(config, bundle)
        self._send_alert = send_alert
        self._state = state
        self._instruments = instruments or Instruments()
        self._instruments.expect(config.name, config.input.topic)
        self._stores = stores
        self.references = stores.references(config)
        self.store = stores.windows(config)
        self.ledger = Ledger(alert_policy(config), self._publish, self._announce)
        self.undecided: list[Undecided] = []
        self._reference = ""
        self._test: WindowTest
        self._ties: TieOrder | None
        self._source: AlertSource
        self._threshold_of: Callable[[int], Threshold]

    @property
    def schema(self) -> EventSchema:
        """What this monitor's events look like."""
        return _schema(self.config, self.detector, self._prepare)

    def attach(self) -> None:
        """Learn from the stores how far this monitor has counted and which reference is in force.

        Raises
        ------
        ConfigError
            If the stores hold windows of another size or hop.
        """
        self.ledger.forget()
        self.undecided.clear()
        self.use_reference(self.references.adopt(self._reference_scores))
        with self._explained():
            self.store.attach(self._recall)

    def check_windows(self) -> None:
        """Look whether the windows in the stores can go on as the config says.

        Raises
        ------
        ConfigError
            If they have another size or hop.
        """
        with self._explained():
            self.store.check_shape()

    def use_reference(self, version: str | None) -> None:
        """Test against another stored reference from now on, if it is another one."""
        if version is None or version == self._reference:
            return
        scores = self.references.get(version)
        self._test, self._ties = monitor_test(self.config, scores)
        self._threshold_of = threshold_rule(self.config, len(scores), self._stores.recall_threshold)
        self._source = AlertSource(
            monitor=self.config.name,
            input_topic=self.config.input.topic,
            test=self.config.test.name,
            alternative=self.config.test.alternative,
            reference_size=len(scores),
            reference_mean=float(np.mean(scores, dtype=np.float64)),
            score_threshold=self.detector.threshold,
        )
        self._reference = version
        self._reference_scores = scores

    @property
    def scoring(self) -> object:
        """What its scores depend on: monitors for which this is equal score an event alike."""
        return id(self.detector), self.config.prediction, self.config.input.preprocess

    def score(self, events: EventBatch) -> npt.NDArray[np.float32]:
        """Score all instances in one compiled call; float32, shape (n,).

        Those without a prediction take another call, where there are both.
        """
        instances = events.instances if self._prepare is None else self._prepare(events.instances)
        predictions = events.predictions
        if predictions is None:
            return self.detector.score_instances(instances)
        unknown = np.isnan(predictions[:, 0])
        if not unknown.any():
            return self.detector.score_predictions(instances, predictions)
        scores = np.empty(len(instances), dtype=np.float32)
        scores[unknown] = self.detector.score_instances(instances[unknown])
        scores[~unknown] = self.detector.score_predictions(instances[~unknown], predictions[~unknown])
        return scores

    def note_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """Enter the scores of a batch, shape (n,), into the metrics."""
        self._instruments.scored(self.config.name, scores, self.detector.threshold)

    def judge(self, windows: Sequence[ClosedWindow], stored: Mapping[str, bytes | None]) -> None:
        """Test closed windows and enter the verdicts; alerts that they raise are on their way then.

        With ``test.fdr`` the verdicts wait in ``undecided`` for what other windows leave to them.
        """
        self.ledger.learn(stored)
        judged = judge(
            windows,
            self._test,
            threshold_of=self._threshold_of,
            score_threshold=self.detector.threshold,
            reference=self._reference,
            now_ms=self._stores.judging_ms(),
            ties=self._ties,
        )
        if self.config.test.fdr is None:
            self._enter(judged)
        else:
            self.undecided += [Undecided(self.config.name, one) for one in judged]

    def enter_decided(self, decided: Sequence[JudgedWindow]) -> None:
        """Enter the verdicts of all windows that were undecided."""
        self.undecided.clear()
        self._enter(decided)

    def _enter(self, judged: Sequence[JudgedWindow]) -> None:
        self._instruments.judged(self.config.name, judged)
        self.ledger.enter(judged)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OtherWindowsError as error:
            raise ConfigError(
                f"Monitor {self.config.name!r} has {error.stored} in Redis, which cannot become"
                f" {error.wanted}; give the monitor of other windows another name, or drop the old ones with"
                f" 'drift-monitor reset --monitor {self.config.name}'."
            ) from error

    def _announce(self, segment: str, standing: Standing) -> Delivery:
        return (
            Delivered() if self._state is None else self._state.announce(self.config.name, segment, standing)
        )

    def _recall(self) -> Mapping[str, Foundation]:
        return {} if self._state is None else self._state.recall(self.config.name)

    def _publish(self, judged: JudgedWindow, kind: AlertKind, state: AlertState) -> Delivery:
        alert = build_alert(self._source, judged, kind, state.state, state.since_ms, judged.verdict.tested_ms)
        self._instruments.alerted(self.config.name, kind)
        segment, verdict = judged.window.segment, judged.verdict
        about(log, monitor=self.config.name, segment=segment, alert=kind.value, p_value=verdict.p_value).info(
            "Drift %s in segment %r of %s by window %d: p-value %.3g.",
            kind.value,
            segment,
            self.config.name,
            verdict.sequence,
            verdict.p_value,
        )
        return self._send_alert(self.config.alerts.topic, alert)


def event_schema(config: MonitorConfig, bundle: Bundle) -> EventSchema:
    """What the events of a monitor look like.

    Raises
    ------
    ConfigError
        If the bundle is not what the monitor needs.
    """
    detector = _distillation(config, bundle)
    return _schema(config, detector, _preparation(config, detector))


def open_watches(
    configs: Iterable[MonitorConfig],
    stores: Stores,
    send_alert: SendAlert,
    *,
    state: StateTopic | None,
    instruments: Instruments | None = None,
    bundles: BundleShelf | None = None,
) -> list[Watch]:
    """Make the monitors of a config; a bundle that several of them name is loaded once.

    ``bundles`` are those loaded already.

    Raises
    ------
    BundleError
        If a bundle cannot be loaded.
    ConfigError
        If a bundle is not what its monitor needs.
    """
    bundles = BundleShelf() if bundles is None else bundles
    watches = []
    for config in configs:
        bundle = bundles.get(config.detector, with_model=config.runs_model)
        watches.append(Watch(config, bundle, stores, send_alert, state=state, instruments=instruments))
    return watches


def _distillation(config: MonitorConfig, bundle: Bundle) -> ModelDistillation:
    detector = bundle.detector
    if not isinstance(detector, ModelDistillation):
        raise ConfigError(
            f"Monitor {config.name!r} needs a ModelDistillation bundle, but {config.detector} holds a"
            f" {type(detector).__name__}."
        )
    if config.runs_model and detector.model is None:
        option, other = "prediction: run", "prediction: event"
        if config.prediction != "run":
            option, other = "unpaired: run", "unpaired: reject"
        raise ConfigError(
            f"Monitor {config.name!r} is to run the model ({option}), but the bundle {config.detector}"
            f" holds none; fit it with the model kept, or use {other}."
        )
    return detector


def _reference(config: MonitorConfig, bundle: Bundle) -> npt.NDArray[np.float32]:
    if bundle.reference is None:
        raise ConfigError(
            f"The bundle {config.detector} of monitor {config.name!r} holds no reference; build one with"
            " 'drift-monitor reference build'."
        )
    return bundle.reference


def _preparation(config: MonitorConfig, detector: ModelDistillation) -> Preparation | None:
    name = config.input.preprocess
    return None if name is None else Preparation(name, _fixed_shape(config, detector))


def _schema(config: MonitorConfig, detector: ModelDistillation, prepare: Preparation | None) -> EventSchema:
    return EventSchema(
        input_shape=_fixed_shape(config, detector) if prepare is None else prepare.input_shape,
        n_classes=detector.n_classes,
        prediction_required=config.prediction == "event",
        fields=config.input.event_fields,
        max_bytes=config.input.max_bytes,
    )


def _fixed_shape(config: MonitorConfig, detector: ModelDistillation) -> tuple[int, ...]:
    shape = tuple(size for size in detector.input_shape if size is not None)
    if len(shape) != len(detector.input_shape):
        raise ConfigError(
            f"The models in {config.detector} of monitor {config.name!r} take inputs of any size"
            f" {detector.input_shape}; a monitor needs a fixed shape."
        )
    return shape
