"""Traffic that flows while a test does something else."""

from __future__ import annotations

import threading

from typing_extensions import Self

from tests.traffic import Account, TinyDetector

PAUSE_SECONDS = 0.3
"""Between portions, so that the verdicts of a run fit into the 500 that Redis keeps, however slow it is."""
PORTIONS_OF_A_KIND = 4
"""That calm and harmful ones come by turns of, long enough for drift to be detected and resolved."""


class Load:
    """Events that are sent in small portions from a thread, for as long as the block lasts.

    Parameters
    ----------
    tiny
        Makes them.
    bootstrap, topic
        Where they go.
    account
        Where they are entered.
    partitions
        Of the topic, which get equal shares.
    portion
        How many are sent at a time.
    """

    def __init__(
        self,
        tiny: TinyDetector,
        bootstrap: str,
        topic: str,
        account: Account,
        *,
        partitions: int,
        portion: int,
    ) -> None:
        self._tiny, self._bootstrap, self._topic = tiny, bootstrap, topic
        self._account = account
        self._partitions = [row % partitions for row in range(portion)]
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        number = 0
        while not self._ending.wait(PAUSE_SECONDS):
            make = self._tiny.harmful if number // PORTIONS_OF_A_KIND % 2 else self._tiny.calm
            number += 1
            self._account.send(
                self._bootstrap, self._topic, make(len(self._partitions), seed=number), self._partitions
            )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(60)
