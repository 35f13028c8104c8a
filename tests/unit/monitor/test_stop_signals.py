"""A worker that is asked to stop while it is still being made."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.cli.worker import StopSignals


class Worker:
    def __init__(self) -> None:
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_before_there_is_a_worker_ends_the_process_in_order() -> None:
    StopSignals()

    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGTERM)

    assert ended.value.code == 0


def test_a_worker_stops_though_a_library_swallowed_the_exit() -> None:
    stop, worker = StopSignals(), Worker()
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    made: Any = worker

    stop.attach(made)

    assert worker.stopped
