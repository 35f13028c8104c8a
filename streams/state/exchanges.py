"""Exchanges with a store: calls of which the next may depend on the answer to the one before.

An exchange is a generator that yields a call, is sent the reply, and returns what it led to. Many of them
are carried on in step, so that together they take as many round trips as the longest one has calls.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Exchange: TypeAlias = Generator[Any, Any, T]


def in_step(exchanges: Iterable[Exchange[T]], run: Callable[[Sequence[Any]], Sequence[Any]]) -> list[T]:
    """Carry on exchanges until all have ended, and return what they led to, in their order.

    Parameters
    ----------
    exchanges
        Exchanges that have not begun.
    run
        Carries out calls in one round trip and returns their replies in order.
    """
    ended: dict[int, T] = {}
    going = [(number, exchange, None) for number, exchange in enumerate(exchanges)]
    while going:
        asked = []
        for number, exchange, reply in going:
            try:
                asked.append((number, exchange, exchange.send(reply)))
            except StopIteration as end:
                ended[number] = end.value
        replies = run([call for *_, call in asked]) if asked else []
        going = [(*one[:2], reply) for one, reply in zip(asked, replies, strict=True)]
    return [ended[number] for number in range(len(ended))]
