"""Control of the false discovery rate over an endless stream of p-values (SAFFRON and ADDIS)."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.arguments import check_number
from detectors.errors import InvalidArgumentError

TIME_SCALES: tuple[float, ...] = tuple(2.0**k for k in range(21))
"""Tests over which wealth is spent: 1, 2, 4 ... about a million."""

_UNSCALED = [scale**-0.6 for scale in TIME_SCALES]
SCALE_WEIGHTS: tuple[float, ...] = tuple(weight / sum(_UNSCALED) for weight in _UNSCALED)
"""They sum to 1 and let the spending sequence fall about as j^-1.6, which the SAFFRON paper recommends."""


@dataclass(frozen=True)
class FdrState:
    """All that must be remembered between two p-values.

    Attributes
    ----------
    tests
        Number of p-values seen.
    discoveries
        Number of them that were below their threshold.
    wealth
        Wealth yet to be spent on each of the ``TIME_SCALES``.
    """

    tests: int
    discoveries: int
    wealth: tuple[float, ...]

    def to_tuple(self) -> tuple[float, ...]:
        """Flatten to 23 numbers, for storage."""
        return (float(self.tests), float(self.discoveries), *self.wealth)

    @classmethod
    def from_tuple(cls, numbers: tuple[float, ...]) -> FdrState:
        """Read what ``to_tuple`` wrote.

        Raises
        ------
        InvalidArgumentError
            If it has another length.
        """
        if len(numbers) != 2 + len(TIME_SCALES):
            raise InvalidArgumentError(
                f"The state of an FDR procedure has {2 + len(TIME_SCALES)} numbers, not {len(numbers)}."
            )
        return cls(int(numbers[0]), int(numbers[1]), tuple(float(wealth) for wealth in numbers[2:]))


@dataclass(frozen=True)
class OnlineFdr:
    """Online false discovery rate procedure: SAFFRON, or ADDIS if large p-values are discarded.

    Parameters
    ----------
    q
        False discovery rate to keep, in (0, 1).
    candidate
        P-values up to this are candidates (the papers' lambda), in (0, discard): a test that yields one costs
        no wealth.
    discard
        P-values above this are passed over (ADDIS's tau), in (0, 1]. 1 is SAFFRON. Less helps where clean
        windows have p-values that pile up near 1, as one-sided tests do when inputs became easier.

    Notes
    -----
    With initial wealth ``w = q / 2`` the threshold of test t is ``min(candidate, (discard - candidate) *
    (w g(t_0) + (q - w) g(t_1) + q g(t_2) + ...))``, where ``t_j`` counts the tests since discovery j that
    were neither candidates nor discarded, from 1. The spending sequence ``g`` sums to 1; here it is a mixture
    of geometric sequences, ``g(j) = sum_k v_k / s_k (1 - 1/s_k)^(j-1)``, so that the state has a constant
    size: the wealth on each scale decays by its own factor.

    The rate is kept if the p-values of clean windows are valid and independent of each other and of the rest.
    Windows must therefore be disjoint (tumbling). Windows tested against one shared reference are independent
    only given that reference, which a large reference makes negligible.

    References
    ----------
    A. Ramdas, T. Zrnic, M. Wainwright, M. Jordan (2018), "SAFFRON: an adaptive algorithm for online control
    of the false discovery rate", ICML. J. Tian, A. Ramdas (2019), "ADDIS: an adaptive discarding algorithm
    for online FDR control with conservative nulls", NeurIPS.

    Examples
    --------
    >>> procedure = OnlineFdr(q=0.05)
    >>> state, threshold = procedure.step(procedure.start(), 1e-6)
    >>> bool(1e-6 <= threshold), state.discoveries
    (True, 1)
    """

    q: float
    candidate: float = 0.5
    discard: float = 1.0

    def __post_init__(self) -> None:
        q = check_number(self.q, "q", 0.0, 1.0)
        discard = check_number(self.discard, "discard", 0.0, 1.0)
        candidate = check_number(self.candidate, "candidate", 0.0, 1.0)
        if not 0.0 < q < 1.0:
            raise InvalidArgumentError(f"q is {q:g}; it must lie between 0 and 1.")
        if not 0.0 < candidate < discard:
            raise InvalidArgumentError(
                f"candidate is {candidate:g} and discard {discard:g}; they must keep 0 < candidate < discard."
            )

    def start(self) -> FdrState:
        """Return the state before the first p-value."""
        return FdrState(0, 0, tuple(self.q / 2.0 * weight for weight in SCALE_WEIGHTS))

    def threshold(self, state: FdrState) -> float:
        """Value that the next p-value must not exceed to be a discovery."""
        spent = sum(wealth / scale for wealth, scale in zip(state.wealth, TIME_SCALES, strict=True))
        return min(self.candidate, (self.discard - self.candidate) * spent)

    def step(self, state: FdrState, p_value: float) -> tuple[FdrState, float]:
        """Take in one p-value.

        Parameters
        ----------
        state
            The state before it.
        p_value
            In [0, 1].

        Returns
        -------
        tuple[FdrState, float]
            The state after it, and the threshold that was in force: the window has drifted if
            ``p_value <= threshold``.

        Raises
        ------
        InvalidArgumentError
            If the p-value is NaN or not in [0, 1].
        """
        p = check_number(p_value, "p_value", 0.0, 1.0)
        threshold = self.threshold(state)
        wealth = state.wealth
        if self.candidate < p <= self.discard:
            wealth = tuple(w * (1.0 - 1.0 / scale) for w, scale in zip(wealth, TIME_SCALES, strict=True))
        discovered = p <= threshold
        if discovered:
            earned = self.q if state.discoveries else self.q / 2.0
            wealth = tuple(w + earned * weight for w, weight in zip(wealth, SCALE_WEIGHTS, strict=True))
        return FdrState(state.tests + 1, state.discoveries + discovered, wealth), threshold
