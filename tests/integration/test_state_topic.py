"""Redis loses everything: windows of all segments are rebuilt as they were, with no verdict given twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState
from monitor.state_topic import StateTopic
from monitor.verdicts.ledger import Delivered, Ledger
from monitor.verdicts.standing import Standing
from monitor.verdicts.verdict import JudgedWindow, Verdict
from streams.kafka.producer import DeliveryConfirmedProducer
from streams.state.batches import Batch
from streams.state.redis_connection import RedisConnection
from streams.state.redis_keys import MonitorKeys
from streams.state.window_store import StateLostError, WindowStore
from streams.state.windows import ClosedWindow, ScoredRows, WindowPolicy


@dataclass
class Run:
    """A monitor without Kafka input: rows in, verdicts in order out."""

    store: WindowStore
    state: StateTopic
    connection: RedisConnection
    verdicts: list[tuple[str, int, list[int]]] = field(default_factory=list)
    alerts: list[tuple[str, int]] = field(default_factory=list)
    low: int = 0

    def __post_init__(self) -> None:
        def announce(segment: str, standing: Standing):
            return self.state.announce("m", segment, standing)

        self.ledger = Ledger(AlertPolicy(2, 2, 1), self.publish, announce)
        self.store.attach(lambda: self.state.recall("m"))

    def publish(self, judged: JudgedWindow, kind: AlertKind, state: AlertState) -> Delivered:
        self.alerts.append((judged.window.segment, judged.verdict.sequence))
        return Delivered()

    def feed(self, first: int, last: int, segments: Sequence[str]) -> None:
        offsets = np.arange(first, last)
        rows = ScoredRows(
            offsets.astype(np.float32),
            np.zeros(len(offsets), np.int32),
            offsets,
            offsets,
            offsets - first,
            None,
        )
        batch = Batch(rows, [segments[offset] for offset in offsets], {0: last})
        while (call := self.store.append_call(batch)) is not None:
            appended = self.store.append_reply(batch, self.connection.run([call])[0])
            if appended is not None:
                self.low = last if appended.depends_on[0] is None else appended.depends_on[0]
                self.ledger.learn(appended.alert_states)
                self.ledger.enter([self.judge(window) for window in appended.closed])
                return

    def judge(self, window: ClosedWindow) -> JudgedWindow:
        self.verdicts.append((window.segment, window.sequence, [int(score) for score in window.scores]))
        pane = window.pane
        verdict = Verdict(
            window.sequence, pane.count, 0, 1, pane.offsets, 0.5, 0.0, 0.01, True, "sha256:0", 1, 2, None, 1
        )
        return JudgedWindow(window, verdict)

    def settle(self, producer: DeliveryConfirmedProducer) -> None:
        self.ledger.settlements()
        producer.flush(10)
        settlements = self.ledger.settlements()
        reply = self.connection.run([self.store.settle_call(settlements)])[0]
        settled = self.store.settle_reply(settlements, reply)
        self.ledger.settled(settlements, settled.refused)
        if 0 in settled.depends_on:
            self.low = settled.depends_on[0] or self.low


@pytest.mark.parametrize("hop", [10, 5])
def test_windows_are_rebuilt_as_they_were(hop: int, kafka, topic, redis_url: str, redis_client):
    """One busy segment, two slow ones whose open windows reach far back; the loss comes in the middle."""
    rng = np.random.default_rng(3)
    segments = rng.choice(["busy", "slow", "rare"], p=[0.8, 0.18, 0.02], size=400).tolist()
    properties = {"bootstrap.servers": kafka.bootstrap}
    producer = DeliveryConfirmedProducer(properties)
    connection = RedisConnection(redis_url)

    def run() -> Run:
        store = WindowStore(connection, MonitorKeys("drift", "m"), WindowPolicy(10, hop))
        return Run(store, StateTopic(state_topic, producer, properties), connection)

    state_topic = topic("undisturbed", cleanup_policy="compact") if kafka.real else topic("undisturbed")
    undisturbed = run()
    for first in range(0, 400, 25):
        undisturbed.feed(first, first + 25, segments)
        undisturbed.settle(producer)
    redis_client.flushdb()

    state_topic = topic("state", cleanup_policy="compact") if kafka.real else topic("state")
    disturbed = run()
    for first in range(0, 200, 25):
        disturbed.feed(first, first + 25, segments)
        disturbed.settle(producer)
    disturbed.feed(200, 225, segments)
    unsettled = disturbed.ledger.unsettled()
    assert unsettled > 0
    redis_client.flushdb()
    with pytest.raises(StateLostError):
        disturbed.feed(225, 250, segments)
    disturbed.ledger.forget()
    disturbed.store.attach(lambda: disturbed.state.recall("m"))
    repeated = len(disturbed.verdicts)
    assert disturbed.low < 200
    disturbed.feed(disturbed.low, 225, segments)
    assert sorted(disturbed.verdicts[repeated:]) == sorted(
        disturbed.verdicts[repeated - unsettled : repeated]
    )
    for first in range(225, 400, 25):
        disturbed.settle(producer)
        disturbed.feed(first, first + 25, segments)

    del disturbed.verdicts[repeated - unsettled : repeated]
    assert sorted(disturbed.verdicts) == sorted(undisturbed.verdicts)
    assert set(disturbed.alerts) == set(undisturbed.alerts) == {(s, 2) for s in ("busy", "slow")}
    connection.close()
