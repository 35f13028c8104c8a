"""What a pipeline needs of the place where its monitors' state is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from detectors.promises.promises import Threshold
from monitor.config import MonitorConfig
from streams.state.batches import Appended, Batch
from streams.state.decision_store import Procedure
from streams.state.exchanges import Exchange
from streams.state.founding import Foundation
from streams.state.settling import Settled, Settlement


class Windows(Protocol):
    """The windows of one monitor; `streams.state.window_store.WindowStore` says what each method does.

    What ``append_call`` and ``settle_call`` return and exchanges yield is carried out by the ``run`` of the
    same `Stores`.
    """

    def attach(self, recall: Callable[[], Mapping[str, Foundation]] = ...) -> None:
        """Learn how far the monitor has counted; forget all that was known before."""
        ...

    def check_shape(self) -> None:
        """Look whether stored windows can go on as the policy says."""
        ...

    def counted(self, partition: int) -> int | None:
        """Return the next offset of a partition that is not counted."""
        ...

    def depends_on(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """Return, for each partition, the first offset that an unsettled window holds."""
        ...

    def forget_progress(self, partition: int) -> None:
        """Count a partition from scratch."""
        ...

    def append_call(self, batch: Batch) -> Any | None:
        """Return the call that appends a batch; None when all of it is counted."""
        ...

    def append_reply(self, batch: Batch, reply: Any) -> Appended | None:
        """Read the answer to ``append_call``; None when the call must be redone."""
        ...

    def aging(self) -> Exchange[Appended | None]:
        """Close partial windows that have reached the policy's age."""
        ...

    def settle_call(self, settlements: Sequence[Settlement]) -> Any:
        """Return the call that settles verdicts."""
        ...

    def settle_reply(self, settlements: Sequence[Settlement], reply: Any) -> Settled:
        """Read the answer to ``settle_call``."""
        ...

    def claiming(self) -> Exchange[Appended | None]:
        """Take over closed windows that a worker left without a verdict."""
        ...

    def reading_alerts(self, segments: Sequence[str]) -> Exchange[dict[str, bytes | None]]:
        """Read the stored alert states of segments."""
        ...


class References(Protocol):
    """The references of one monitor."""

    def adopt(self, scores: npt.NDArray[np.float32]) -> str:
        """Return the version in force; when there is none, put these scores in force."""
        ...

    def current(self) -> str | None:
        """Return the version in force; None when there is none."""
        ...

    def get(self, version: str) -> npt.NDArray[np.float32]:
        """Return the sorted scores of a reference, float32, shape (n,)."""
        ...


class Decisions(Protocol):
    """The decisions of one procedure that monitors share."""

    def decide(self, questions: Mapping[str, float], procedure: Procedure) -> dict[str, bytes]:
        """Decide questions in their order, other than those that have been decided."""
        ...


class Stores(Protocol):
    """Where the state of all monitors of a pipeline is kept."""

    def windows(self, config: MonitorConfig) -> Windows:
        """Return the windows of a monitor."""
        ...

    def references(self, config: MonitorConfig) -> References:
        """Return the references of a monitor."""
        ...

    def discoveries(self, q: float) -> Decisions:
        """Return the decisions of the procedure that keeps a false discovery rate."""
        ...

    def recall_threshold(self, promise: str, work_out: Callable[[], Threshold]) -> Threshold:
        """Return the threshold that keeps a promise; work it out if it is not known."""
        ...

    def run(self, calls: Sequence[Any]) -> list[Any]:
        """Carry out calls of the windows together, and return their replies in order."""
        ...

    def judging_ms(self) -> int | None:
        """Return the time at which windows are judged now; None when each is judged as it ends."""
        ...
