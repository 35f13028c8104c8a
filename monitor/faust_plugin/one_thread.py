"""One thread that does what it is given, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class OneThread:
    """Like an executor with one thread, but a program can end while the thread still waits for something.

    Parameters
    ----------
    name
        Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """Do something after all that was given before."""
        if self._thread.ident is None:
            self._thread.start()
        done: Future[T] = Future()
        self._jobs.put((done, action))
        return done

    def end(self) -> None:
        """Let the thread end after all that was given."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            done, action = job
            if not done.set_running_or_notify_cancel():
                continue
            try:
                done.set_result(action())
            except BaseException as error:
                done.set_exception(error)
