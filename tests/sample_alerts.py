"""Alerts as the worker publishes them, made of invented facts."""

from __future__ import annotations

import numpy as np

from monitor.alerts.alert import Alert, AlertSource, build_alert
from monitor.alerts.policy import AlertKind, DriftState
from monitor.verdicts.verdict import JudgedWindow, Verdict
from streams.state.windows import SCORE_DTYPE, ClosedWindow, Example, Pane

TIME_MS = 1_795_176_000_123
"""2026-11-20T12:00:00.123Z."""


def source(**changes) -> AlertSource:
    facts = {
        "monitor": "cifar10",
        "input_topic": "inference-events",
        "test": "ks_2samp",
        "alternative": "higher",
        "reference_size": 1000,
        "reference_mean": 0.88,
        "score_threshold": 3.2,
    }
    return AlertSource(**{**facts, **changes})


def judged(
    sequence: int = 42, first_offset: int = 100, flagged_fraction: float | None = 0.34
) -> JudgedWindow:
    offsets = {0: (first_offset, first_offset + 60), 2: (7, 45)}
    examples = (Example(4.5, "6f1c", 0, 117), Example(4.1, None, 2, 9))
    pane = Pane(100, TIME_MS - 60_000, TIME_MS - 1000, offsets, examples)
    window = ClosedWindow("eu", sequence, pane, {}, np.zeros(100, SCORE_DTYPE))
    verdict = Verdict(
        sequence=sequence,
        size=100,
        start_ms=pane.start_ms,
        end_ms=pane.end_ms,
        offsets=offsets,
        statistic=0.31,
        p_value=1.2e-9,
        threshold=0.01,
        drift=True,
        reference="sha256:" + "ab" * 32,
        mean=1.9,
        max=4.5,
        flagged_fraction=flagged_fraction,
        tested_ms=TIME_MS,
    )
    return JudgedWindow(window, verdict)


def built(kind: AlertKind = AlertKind.DETECTED, window: JudgedWindow | None = None, **changes) -> Alert:
    state = DriftState.NORMAL if kind is AlertKind.RESOLVED else DriftState.DRIFT
    return build_alert(source(**changes), window or judged(), kind, state, TIME_MS - 5, TIME_MS)
