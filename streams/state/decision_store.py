"""Decisions of a procedure that goes from state to state and is shared by workers, each taken once.

A worker decides by itself from the state that it saw last, and Redis takes the decisions if that state is
still the latest; when another worker was first, it decides anew from what that one left. So the decisions of
all workers are those of one procedure that took the questions one after the other, in the order stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from streams.state.redis_connection import RedisConnection, ScriptCall, load_script
from streams.state.redis_keys import ProcedureKeys

DECIDE = load_script("decide")

Procedure: TypeAlias = Callable[[bytes, Sequence[float]], tuple[bytes, list[bytes]]]
"""Takes a state (empty at the beginning) and numbers to decide on one after the other; returns the state
after that and one decision a number, none of them empty."""

KEPT_MS = 3_600_000
"""How long decisions are remembered, in milliseconds: windows come back after a lease, not after an hour."""


class DecisionStore:
    """The state of one procedure in Redis, and its latest decisions by what they are about.

    Parameters
    ----------
    connection
        Where Redis is.
    keys
        Names of the procedure's keys.
    kept_ms
        How long a decision is remembered, in milliseconds; a question that comes again later is a new one.
    """

    def __init__(self, connection: RedisConnection, keys: ProcedureKeys, *, kept_ms: int = KEPT_MS) -> None:
        self._redis = connection
        self._keys = keys
        self._kept_ms = kept_ms
        self._state = b""

    def decide(self, questions: Mapping[str, float], procedure: Procedure) -> dict[str, bytes]:
        """Decide questions in their order, other than those that have been decided.

        One round trip, and one more each time that another worker decided since this one last did.

        Parameters
        ----------
        questions
            What is to be decided: a name, and the number that goes into the decision.
        procedure
            What decides; may be asked several times, and only its last answer counts.

        Returns
        -------
        dict
            Decision by question.

        Raises
        ------
        RedisUnavailableError
            If Redis cannot answer right now. Decisions may have been written; asking again finds them.
        """
        decided: dict[str, bytes] = {}
        while undecided := [name for name in questions if name not in decided]:
            state, fresh = procedure(self._state, [questions[name] for name in undecided])
            keys = [self._keys.state, *(self._keys.decision(name) for name in undecided)]
            call = ScriptCall(DECIDE, keys, [self._state, state, self._kept_ms, *fresh])
            outcome, *found = self._redis.run([call])[0]
            if outcome == b"ok":
                self._state = state
                decided.update(zip(undecided, fresh, strict=True))
            else:
                self._state, taken = found
                decided.update({name: old for name, old in zip(undecided, taken, strict=True) if old})
        return {name: decided[name] for name in questions}
