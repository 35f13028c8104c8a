"""Which windows have drifted when a false discovery rate is promised over all windows of several monitors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from detectors.errors import InvalidArgumentError
from detectors.promises.online_fdr import FdrState, OnlineFdr
from monitor.stores.protocol import Decisions
from monitor.verdicts.verdict import JudgedWindow
from streams.errors import StateError


class Undecided(NamedTuple):
    """A window whose p-value is known, and the monitor that it belongs to."""

    monitor: str
    judged: JudgedWindow


class DiscoveryControl:
    """An online FDR procedure that all workers share through Redis.

    Parameters
    ----------
    q
        False discovery rate to keep; monitors with the same one share the procedure.
    decisions
        Where the procedure's state and its decisions are kept.

    Notes
    -----
    Windows are taken in the order in which workers ask, and each once: a window that is judged again gets the
    decision that it had. The procedure and its assumptions are those of ``detectors.OnlineFdr``.
    It starts over, with the wealth of the beginning, when Redis has lost its data.
    """

    def __init__(self, q: float, decisions: Decisions) -> None:
        self._procedure = OnlineFdr(q)
        self._store = decisions

    def decide(self, windows: Sequence[Undecided]) -> list[JudgedWindow]:
        """Decide windows, in their order, and return them with threshold and outcome.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now; call again with the same windows.
        StateError
            If the state in Redis cannot be what this software wrote.
        """
        names = [_window_id(window) for window in windows]
        p_values = {name: window.judged.verdict.p_value for name, window in zip(names, windows, strict=True)}
        thresholds = self._store.decide(p_values, self._decide_in_order)
        return [
            _decided(window.judged, float(thresholds[name]))
            for name, window in zip(names, windows, strict=True)
        ]

    def _decide_in_order(self, raw: bytes, p_values: Sequence[float]) -> tuple[bytes, list[bytes]]:
        state, thresholds = self._decoded(raw), []
        for p_value in p_values:
            state, threshold = self._procedure.step(state, p_value)
            thresholds.append(repr(threshold).encode())
        return json.dumps(state.to_tuple(), separators=(",", ":")).encode(), thresholds

    def _decoded(self, raw: bytes) -> FdrState:
        if not raw:
            return self._procedure.start()
        try:
            return FdrState.from_tuple(tuple(json.loads(raw)))
        except (ValueError, TypeError, InvalidArgumentError) as error:
            raise StateError(
                f"The state of the FDR procedure in Redis cannot be read: {raw[:80]!r}."
            ) from error


def _decided(judged: JudgedWindow, threshold: float) -> JudgedWindow:
    drift = judged.verdict.p_value <= threshold
    return judged._replace(verdict=judged.verdict._replace(threshold=threshold, drift=drift))


def _window_id(window: Undecided) -> str:
    """Name a window by what it covers and is tested against."""
    verdict = window.judged.verdict
    offsets = sorted((partition, *span) for partition, span in verdict.offsets.items())
    facts = [window.monitor, window.judged.window.segment, verdict.reference, verdict.sequence, offsets]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
