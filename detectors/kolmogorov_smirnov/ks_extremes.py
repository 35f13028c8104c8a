"""Random references and windows under the condition that the window alarms, drawn without rejection.

What happens around a false alarm that comes once in thousands of windows is costly to learn by waiting for
one. Under the null hypothesis the pooled order is a random lattice path, and a path that touches a line can
be drawn directly: first where it touches, then backwards to the start, then freely to the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_null import KSNullLaw, passing_probability

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def ranks_in_own_reference(positions: FloatArray, values: FloatArray) -> IntArray:
    """Count the reference scores below each value.

    Parameters
    ----------
    positions
        Sorted references, shape (s, n), all in [0, 1].
    values
        Values, shape (s, k), all in [0, 1]; row i is compared with reference i.

    Returns
    -------
    IntArray
        Shape (s, k).
    """
    rows = np.arange(len(positions), dtype=np.int64)[:, None]
    # Rows are told apart by their integer part, so that one search serves all.
    places = np.searchsorted((positions + rows).ravel(), (values + rows).ravel()).reshape(values.shape)
    return np.asarray(places - rows * positions.shape[1], dtype=np.int64)


@dataclass(frozen=True)
class _FirstTouches:
    """Where paths may first touch a line, and how likely each place is.

    Attributes
    ----------
    row, column
        The last row on which the path was inside and the column it had reached there, shape (e,).
    window_scores, reference_scores
        Steps up and right that the path has made when it touches, shape (e,).
    probability
        Sums to 1, shape (e,).
    """

    row: IntArray
    column: IntArray
    window_scores: IntArray
    reference_scores: IntArray
    probability: FloatArray


class AlarmingWindows:
    """Source of (reference, window) pairs of one population whose K-S statistic is at least a given one.

    Parameters
    ----------
    n
        Size of the reference.
    m
        Size of the window, at most n.
    statistic
        Smallest statistic, positive, in units of ``1 / lcm(n, m)``.
    two_sided
        Whether the alternative is ``two-sided``; otherwise it is ``higher``.

    Raises
    ------
    InvalidArgumentError
        If the window is larger than the reference.
    """

    def __init__(self, n: int, m: int, statistic: int, two_sided: bool) -> None:
        if m > n:
            raise InvalidArgumentError(
                f"A window of {m} scores is larger than its reference of {n}; it must not be."
            )
        self.n, self.m = n, m
        law = KSNullLaw(n, m, two_sided)
        lowest, highest = law.columns_between_the_lines(np.array([statistic]))
        self._lowest, self._highest = lowest[:, 0], highest[:, 0]
        self._log_visits: list[FloatArray] = []
        self._touches = self._follow(two_sided)

    def draw(self, count: int, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
        """Draw independent pairs.

        Returns
        -------
        tuple[FloatArray, IntArray]
            The references as sorted uniform numbers, shape (count, n), and for each window score the number
            of reference scores below it, shape (count, m); window scores are in random order.
        """
        touches = self._touches
        chosen = rng.choice(touches.probability.size, size=count, p=touches.probability)
        # Longest paths first, so that the paths active on a row are always the first ones.
        chosen = chosen[np.argsort(-touches.row[chosen], kind="stable")]
        ranks = self._backwards(chosen, rng)
        positions, ranks = self._forwards(
            touches.window_scores[chosen], touches.reference_scores[chosen], ranks, rng
        )
        return positions, rng.permuted(ranks, axis=1)

    def _follow(self, two_sided: bool) -> _FirstTouches:
        """Carry the mass of untouched paths from row to row and list its exits."""
        n, m = self.n, self.m
        p_up = m / (n + m)
        rows, columns, climbed, masses = [], [], [], []
        arrived = np.ones(1)
        for row in range(m):
            low, high, next_low = self._lowest[row], self._highest[row + 1], self._lowest[row + 1]
            visits = np.zeros(high - low + 1)
            visits[: arrived.size] = arrived[: visits.size]
            visits = lfilter([1.0], [1.0, p_up - 1.0], visits)
            with np.errstate(divide="ignore"):
                self._log_visits.append(np.log(visits) - np.arange(visits.size) * np.log1p(-p_up))
            if high < n:
                rows.append(np.array([row]))
                columns.append(np.array([high]))
                climbed.append(np.array([0]))
                masses.append(visits[-1:] * (1.0 - p_up))
            skipped = int(min(next_low - low, visits.size))
            if two_sided and skipped > 0:
                rows.append(np.full(skipped, row))
                columns.append(low + np.arange(skipped))
                climbed.append(np.ones(skipped, dtype=np.int64))
                masses.append(visits[:skipped] * p_up)
            arrived = visits[skipped:] * p_up
        row_of, column_of, up = np.concatenate(rows), np.concatenate(columns), np.concatenate(climbed)
        window_scores, reference_scores = row_of + up, column_of + 1 - up
        mass = np.concatenate(masses) * passing_probability(reference_scores, window_scores, n, m)
        return _FirstTouches(row_of, column_of, window_scores, reference_scores, mass / mass.sum())

    def _backwards(self, chosen: IntArray, rng: np.random.Generator) -> IntArray:
        """Columns in which the paths climbed before they touched, shape (s, m); zero beyond."""
        row_of = self._touches.row[chosen]
        column = self._touches.column[chosen].copy()
        ranks = np.zeros((chosen.size, self.m), dtype=np.int64)
        by_climbing = self._touches.window_scores[chosen] > row_of
        ranks[by_climbing, row_of[by_climbing]] = column[by_climbing]
        for row in range(int(row_of[0]), 0, -1):
            active = int(np.searchsorted(-row_of, -row, side="right"))
            log_visits, low = self._log_visits[row], self._lowest[row]
            target = log_visits[column[:active] - low] + np.log1p(-rng.random(active))
            column[:active] = low + np.searchsorted(log_visits, target)
            ranks[:active, row - 1] = column[:active]
        return ranks

    def _forwards(
        self, window_scores: IntArray, reference_scores: IntArray, ranks: IntArray, rng: np.random.Generator
    ) -> tuple[FloatArray, IntArray]:
        """Place the scores before the touch in their order and the others at random behind it."""
        s, n, m = len(ranks), self.n, self.m
        rows = np.arange(s)[:, None]
        pooled = np.cumsum(rng.standard_exponential((s, n + m + 1)), axis=1)
        pooled = pooled[:, :-1] / pooled[:, -1:]
        touch = pooled[np.arange(s), window_scores + reference_scores - 1][:, None]

        before = np.arange(m) < window_scores[:, None]
        arrivals = np.bincount((ranks + rows * (n + 1))[before], minlength=s * (n + 1)).reshape(s, n + 1)
        windows_before = np.cumsum(arrivals[:, :n], axis=1)
        ordered = np.take_along_axis(pooled, np.minimum(np.arange(n) + windows_before, n + m - 1), axis=1)
        free = np.cumsum(rng.standard_exponential((s, n + 1)), axis=1)
        padded = np.concatenate([np.zeros((s, 1)), free], axis=1)
        base = padded[np.arange(s), reference_scores][:, None]
        beyond = touch + (1.0 - touch) * (free[:, :n] - base) / (free[:, n:] - base)
        positions = np.where(np.arange(n) < reference_scores[:, None], ordered, beyond)

        drawn = touch + (1.0 - touch) * rng.random((s, m))
        ranks = np.where(before, ranks, ranks_in_own_reference(positions, drawn))
        return positions, ranks
