"""Named points between every two steps of the worker's loop, at which a worker process can be made to end.

The points are laid from the outside, around methods of the product's classes, in the process of the worker
under test alone. A point that no worker passes any more fails the tests, so the list stays true.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal, NamedTuple

Provocation = Literal["nothing", "stop", "join", "flush"]
"""What has to happen before a worker comes by: SIGTERM, another worker joins, Redis loses everything."""

POINTS: dict[str, Provocation] = {
    # A worker begins.
    "before attaching": "nothing",
    "before recalling standings": "nothing",
    "standings recalled": "nothing",
    "before founding": "nothing",
    "founding unanswered": "nothing",
    "attached": "nothing",
    "before assignment": "nothing",
    "commits read": "nothing",
    "progress read": "nothing",
    "assigned": "nothing",
    # A batch goes through.
    "consumed": "nothing",
    "scored": "nothing",
    "before dead letters": "nothing",
    "dead letters sent": "nothing",
    "batch scored": "nothing",
    "before append": "nothing",
    "append unanswered": "nothing",
    "before judging": "nothing",
    "before alert": "nothing",
    "alert sent": "nothing",
    "judged": "nothing",
    "counted": "nothing",
    # What it raised is delivered and settled, and offsets are committed.
    "alert delivered": "nothing",
    "before announcement": "nothing",
    "announcement sent": "nothing",
    "announcement delivered": "nothing",
    "before settling": "nothing",
    "settling unanswered": "nothing",
    "ticked": "nothing",
    "before flush": "nothing",
    "flushed": "nothing",
    "before commit": "nothing",
    "commit sent": "nothing",
    # Partitions go to another worker.
    "before revocation": "join",
    "revoked": "join",
    # Redis has lost everything.
    "before recovery": "flush",
    "recovered": "flush",
    "sought": "flush",
    # A worker ends in order.
    "stopping": "stop",
    "before leaving": "stop",
    "left": "stop",
}
"""Every point, with what makes a worker pass it."""

UNPAIRED_POINTS = (
    "before returning",
    "requests returned",
    "before settling returned",
    "settling returned unanswered",
    "returned decided",
)
"""Points where requests are sent again that no response came for; no worker without those passes them."""


@dataclass(frozen=True)
class Ending:
    """Where a worker process ends or freezes by itself.

    Attributes
    ----------
    point
        One of ``POINTS``.
    passage
        At which passage, counted from 1.
    by
        SIGKILL, or SIGSTOP to freeze.
    """

    point: str
    passage: int = 1
    by: signal.Signals = signal.SIGKILL


class Call(NamedTuple):
    """One call of a wrapped method."""

    args: tuple[Any, ...]
    result: Any


@dataclass
class Passages:
    """Counts the passages of every point, and ends the process at the one that it is told.

    Parameters
    ----------
    ending
        Where to end; None for nowhere.
    """

    ending: Ending | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def passed(self, point: str) -> None:
        """Note that a point was passed; does not return from the one at which the process ends."""
        assert point in POINTS or point in UNPAIRED_POINTS, point
        self.counts[point] += 1
        if self.ending is not None and (point, self.counts[point]) == (
            self.ending.point,
            self.ending.passage,
        ):
            os.kill(os.getpid(), self.ending.by)

    def around(
        self,
        owner: type,
        method: str,
        before: str | None = None,
        after: str | None = None,
        when: Callable[[Call], bool] = lambda _: True,
    ) -> None:
        """Lay points before and after a method, for the calls that ``when`` chooses."""
        original = getattr(owner, method)

        @wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if before is not None and when(Call(args[1:], None)):
                self.passed(before)
            result = original(*args, **kwargs)
            if after is not None and when(Call(args[1:], result)):
                self.passed(after)
            return result

        setattr(owner, method, wrapped)


def lay_points(passages: Passages, alert_topics: Collection[str], state_topic: str | None) -> None:
    """Lay all points around the product's classes, in this process.

    Parameters
    ----------
    passages
        Told of every passage.
    alert_topics, state_topic
        Which records are alerts, and which tell where a segment stands.
    """
    from monitor.pipeline import Pipeline
    from monitor.state_topic import StateTopic
    from monitor.watch import Watch
    from streams.kafka.consumer import BatchConsumer
    from streams.kafka.dead_letters import DeadLetters
    from streams.kafka.producer import DeliveryConfirmedProducer
    from streams.state.redis_connection import RedisConnection, load_script

    around = passages.around
    around(Pipeline, "attach", "before attaching", "attached")
    around(StateTopic, "recall", "before recalling standings", "standings recalled")
    around(BatchConsumer, "committed", None, "commits read")
    around(Pipeline, "counted", None, "progress read")
    around(BatchConsumer, "poll", None, "consumed", lambda call: bool(call.result))
    around(Watch, "score", None, "scored")
    around(DeadLetters, "send", "before dead letters", "dead letters sent")
    around(Pipeline, "score", None, "batch scored")
    around(Watch, "judge", "before judging", "judged", lambda call: len(call.args[0]) > 0)
    around(Pipeline, "count", None, "counted")
    around(Pipeline, "tick", None, "ticked")
    around(DeliveryConfirmedProducer, "flush", "before flush", "flushed")
    around(BatchConsumer, "commit", "before commit", "commit sent", lambda call: bool(call.args[0]))
    around(BatchConsumer, "seek", None, "sought")
    around(BatchConsumer, "group_answers", "stopping")
    around(BatchConsumer, "close", "before leaving", "left")
    for script, before, after in (
        ("found", "before founding", "founding unanswered"),
        ("append", "before append", "append unanswered"),
        ("settle", "before settling", "settling unanswered"),
    ):
        around(RedisConnection, "run", before, after, _runs(load_script(script).sha))
    _lay_around_returning(passages)
    _lay_around_sending(passages, alert_topics, state_topic)
    _lay_around_rebalances(passages)
    _lay_around_recovery(passages)


def _runs(sha: str) -> Callable[[Call], bool]:
    from streams.state.redis_connection import ScriptCall

    return lambda call: any(isinstance(one, ScriptCall) and one.script.sha == sha for one in call.args[0])


def _lay_around_returning(passages: Passages) -> None:
    from streams.kafka.returned_requests import ReturnedRequests
    from streams.state.pair_store import RETURNED, PairStore

    def settles(call: Call) -> bool:
        return len(call.args[1]) > 0

    def decides(call: Call) -> bool:
        return RETURNED in call.args[2].kinds

    passages.around(ReturnedRequests, "send", "before returning", "requests returned")
    passages.around(
        PairStore, "unpaired", "before settling returned", "settling returned unanswered", settles
    )
    passages.around(PairStore, "bring", None, "returned decided", decides)


def _lay_around_sending(passages: Passages, alert_topics: Collection[str], state_topic: str | None) -> None:
    from streams.kafka.producer import DeliveryConfirmedProducer, PendingDelivery

    on_their_way: list[tuple[PendingDelivery, str]] = []

    def lay(topics: Collection[str | None], before: str, sent: str, delivered: str) -> None:
        def is_one(call: Call) -> bool:
            if call.args[0] in topics and call.result is not None:
                on_their_way.append((call.result, delivered))
            return call.args[0] in topics

        passages.around(DeliveryConfirmedProducer, "send", before, sent, is_one)

    lay(alert_topics, "before alert", "alert sent", "alert delivered")
    lay({state_topic}, "before announcement", "announcement sent", "announcement delivered")

    poll = DeliveryConfirmedProducer.poll

    def noting_deliveries(self: DeliveryConfirmedProducer) -> None:
        poll(self)
        arrived = [point for delivery, point in on_their_way if delivery.delivered]
        on_their_way[:] = [entry for entry in on_their_way if not entry[0].delivered]
        for point in arrived:
            passages.passed(point)

    DeliveryConfirmedProducer.poll = noting_deliveries  # type: ignore[method-assign]


def _lay_around_rebalances(passages: Passages) -> None:
    from streams.kafka.consumer import BatchConsumer

    create = BatchConsumer.__init__

    def between(before: str, callback: Callable[[Any], Any], after: str) -> Callable[[Any], Any]:
        def called(partitions: Any) -> Any:
            passages.passed(before)
            result = callback(partitions)
            passages.passed(after)
            return result

        return called

    def laid(self: BatchConsumer, *args: Any, **callbacks: Any) -> None:
        callbacks["on_assigned"] = between("before assignment", callbacks["on_assigned"], "assigned")
        callbacks["on_revoked"] = between("before revocation", callbacks["on_revoked"], "revoked")
        create(self, *args, **callbacks)

    BatchConsumer.__init__ = laid  # type: ignore[method-assign]


def _lay_around_recovery(passages: Passages) -> None:
    """A pipeline attaches once when its worker begins; every further time Redis has lost something."""
    from monitor.pipeline import Pipeline

    attach = Pipeline.attach
    attached = False

    def laid(self: Pipeline) -> None:
        nonlocal attached
        if attached:
            passages.passed("before recovery")
        attach(self)
        if attached:
            passages.passed("recovered")
        attached = True

    Pipeline.attach = laid  # type: ignore[method-assign]
