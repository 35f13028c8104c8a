"""Exact null distribution of the two-sample Kolmogorov-Smirnov statistic, computed once per sample sizes.

Under the null hypothesis the pooled order of n and m observations is a uniformly random lattice path from
(0, 0) to (n, m), and ``D >= h / lcm(n, m)`` means that the path touches one of two parallel lines (one line
for the one-sided statistics). The probability is summed over the points where a path first touches a line,
so every term is positive and small p-values keep their relative precision.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.stats import binom, kstwo

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

GROUP_SIZE = 16
"""Statistics whose lattice paths are followed together; larger groups no longer fit the CPU's cache."""

FAR_BOUNDARY_EXPONENT = 42.0
"""One-sided paths are dropped once returning to the line costs a factor of about exp(-42), 6e-19."""


class KSNullLaw:
    """Null law of the two-sample K-S statistic for given sample sizes; remembers what it computed.

    Statistics are given as integers ``h`` in units of ``1 / lcm(n, m)``, so that equal statistics are equal
    numbers. Values are computed when first asked for and kept. Safe to share between threads.

    Parameters
    ----------
    n, m
        Sample sizes, in any order: the law is symmetric.
    two_sided
        Whether the statistic is ``max(D+, D-)``; otherwise it is either of them, which have the same law.

    Notes
    -----
    Rows are the s observations of the smaller sample, columns the l of the larger one. A free random walk
    that goes right with probability ``l / (l + s)`` and up otherwise passes the end point with a binomial
    probability; conditioned on that, all paths are equally likely. The mass of paths that have touched no
    line is carried from row to row (a first-order recursive filter), and each exit is multiplied by the
    binomial probability of reaching the end point from there.

    References
    ----------
    J. L. Hodges (1958), "The significance probability of the Smirnov two-sample test", Arkiv för Matematik 3,
    469-486.
    """

    def __init__(self, n: int, m: int, two_sided: bool) -> None:
        self.n, self.m, self.two_sided = n, m, two_sided
        self.lcm = math.lcm(n, m)
        self._larger, self._smaller = max(n, m), min(n, m)
        gcd = math.gcd(n, m)
        self._up, self._right = self._larger // gcd, self._smaller // gcd
        self._known: tuple[IntArray, FloatArray] = (np.empty(0, np.int64), np.empty(0))

    def p_values(self, h: npt.ArrayLike) -> FloatArray:
        """Probability that the statistic is at least ``h / lcm(n, m)``.

        Parameters
        ----------
        h
            Statistics in lattice units, integers, any shape.

        Returns
        -------
        FloatArray
            Exact probabilities in [0, 1], of the shape of ``h``.
        """
        wanted = np.asarray(h, dtype=np.int64)
        keys, values = self._known
        places = np.searchsorted(keys, wanted)
        found = np.zeros(wanted.shape, dtype=bool)
        if keys.size:
            found = keys[np.minimum(places, keys.size - 1)] == wanted
        if not found.all():
            missing = np.unique(wanted[~found])
            keys = np.concatenate([keys, missing])
            order = np.argsort(keys)
            keys, values = keys[order], np.concatenate([values, self._compute(missing)])[order]
            self._known = (keys, values)
            places = np.searchsorted(keys, wanted)
        return values[places]

    def critical_value(self, level: float) -> int:
        """Smallest lattice value ``h`` whose p-value is at most ``level``; ``lcm + 1`` if there is none.

        Not every ``h`` can occur; between two that can, p-values are constant, so the choice is harmless.
        """
        low, high = self._bracket(level)
        while high - low > 1:
            middle = (low + high) // 2
            if self.p_values(middle) <= level:
                high = middle
            else:
                low = middle
        return high

    def _bracket(self, level: float) -> tuple[int, int]:
        """Lattice values around the critical one: the p-value is above ``level`` at the first only."""
        effective = self.n * self.m / (self.n + self.m)
        tail = level / 2.0 if self.two_sided else level
        guess = math.sqrt(max(-math.log(max(tail, 1e-300)), 0.0) / (2.0 * effective)) * self.lcm
        low, high = 0, self.lcm + 1
        for factor in (0.97, 0.8):
            below = int(factor * guess)
            if 0 < below <= self.lcm and self.p_values(below) > level:
                low = below
                break
        above = int(1.03 * guess) + 1
        if low < above <= self.lcm and self.p_values(above) <= level:
            high = above
        return low, high

    def _compute(self, h: IntArray) -> FloatArray:
        """P-values of sorted, distinct lattice values."""
        p = np.where(h <= 0, 1.0, 0.0)
        open_values = np.flatnonzero((h > 0) & (h <= self.lcm))
        start = 0
        while start < open_values.size:
            # Members of a group share one band of columns, so they must not differ much in width.
            widest = 1.25 * h[open_values[start]] + GROUP_SIZE
            stop = start + int(np.searchsorted(h[open_values[start : start + GROUP_SIZE]], widest, "right"))
            group = open_values[start:stop]
            p[group] = self._touching_probability(h[group])
            start = stop
        return np.minimum(p, 1.0)

    def _touching_probability(self, h: IntArray) -> FloatArray:
        """Probability that a path touches its lines, for a group of positive lattice values, shape (k,)."""
        columns, rows = self._larger, self._smaller
        p_up = rows / (rows + columns)
        lowest, highest = self.columns_between_the_lines(h)
        first, last = lowest.min(axis=1), highest.max(axis=1)
        first_shared, last_shared = lowest.max(axis=1), highest.min(axis=1)

        members = np.arange(h.size)
        right_exits = np.zeros((rows, h.size))
        left_exits: list[tuple[FloatArray, IntArray, int]] = []
        arrived = np.zeros((h.size, 1))
        arrived[:, 0] = 1.0
        for row in range(rows):
            width = int(last[row + 1] - first[row] + 1)
            if width <= 0:
                right_exits[row] = arrived.sum(axis=1)
                break
            walk = np.zeros((h.size, width))
            carried = min(arrived.shape[1], width)
            walk[:, :carried] = arrived[:, :carried]
            walk = lfilter([1.0], [1.0, p_up - 1.0], walk, axis=1)
            edge = highest[row + 1] - first[row]
            right_exits[row] = np.where(edge >= 0, walk[members, np.maximum(edge, 0)], 0.0) * (1.0 - p_up)
            climbed = walk * p_up
            inner = int(last_shared[row + 1] + 1 - first[row])
            if inner < width:
                cells = np.arange(max(inner, 0), width)
                climbed[:, cells] *= cells <= edge[:, None]
            outer = int(min(first_shared[row + 1] - first[row], width))
            if outer > 0:
                cells = np.arange(outer)
                outside = cells < (lowest[row + 1] - first[row])[:, None]
                if self.two_sided:
                    left_exits.append((climbed[:, :outer] * outside, cells + first[row], row + 1))
                climbed[:, :outer] *= ~outside
            arrived = climbed[:, int(first[row + 1] - first[row]) :]

        start = passing_probability(np.array([0]), np.array([0]), columns, rows)[0]
        exit_columns = highest[1:] + 1
        reachable = exit_columns <= columns
        completion = np.zeros(right_exits.shape)
        row_of = np.broadcast_to(np.arange(rows)[:, None], exit_columns.shape)
        completion[reachable] = passing_probability(exit_columns[reachable], row_of[reachable], columns, rows)
        total = (right_exits * completion).sum(axis=0)
        if left_exits:
            exit_row = np.concatenate([np.full(cells.size, row) for _, cells, row in left_exits])
            exit_column = np.concatenate([cells for _, cells, _ in left_exits])
            masses = np.concatenate([mass for mass, _, _ in left_exits], axis=1)
            total = total + masses @ passing_probability(exit_column, exit_row, columns, rows)
        return np.asarray(total / start, dtype=np.float64)

    def columns_between_the_lines(self, h: IntArray) -> tuple[IntArray, IntArray]:
        """Columns in which a path that has touched no line may climb to each row.

        Parameters
        ----------
        h
            Positive lattice values, shape (k,).

        Returns
        -------
        tuple[IntArray, IntArray]
            Lowest and highest column, each of shape (rows + 1, k); row i is entered by the i-th step up. The
            line on the right is the one that counts if the statistic is one-sided.
        """
        far = h if self.two_sided else self._far_boundary(h)
        row = np.arange(self._smaller + 1)[:, None]
        lowest = np.maximum((row * self._up - far) // self._right + 1, 0)
        lowest[0] = 0
        highest = np.minimum(-((-(h + (row - 1) * self._up)) // self._right) - 1, self._larger)
        return lowest, highest

    def _far_boundary(self, h: IntArray) -> IntArray:
        """Distance of the line, in lattice units, beyond which a path's return no longer matters.

        A bridge that goes down by k and then up by d does so with probability of about
        ``exp(-2 e (k + d)^2)`` with ``e = n m / (n + m)``, against ``exp(-2 e d^2)`` for going up alone;
        the quotient is ``exp(-2 e k (k + 2 d))``.
        """
        effective = self.n * self.m / (self.n + self.m)
        d = h / self.lcm
        k = np.sqrt(d * d + FAR_BOUNDARY_EXPONENT / (2.0 * effective)) - d
        return np.minimum(np.ceil(k * self.lcm), self.lcm + 1).astype(np.int64)


def passing_probability(column: IntArray, row: IntArray, columns: int, rows: int) -> FloatArray:
    """Probability that the free walk passes (columns, rows) when it is at (column, row), shape (k,).

    The walk goes up with probability ``rows / (rows + columns)`` and right otherwise.
    """
    p = binom.pmf(rows - row, columns - column + rows - row, rows / (rows + columns))
    return np.asarray(p, dtype=np.float64)


@lru_cache(maxsize=256)
def ks_null_law(n: int, m: int, two_sided: bool) -> KSNullLaw:
    """Return the shared ``KSNullLaw`` of these sample sizes, with everything it has computed so far."""
    return KSNullLaw(n, m, two_sided)


def asymptotic_p_values(statistic: FloatArray, n: int, m: int, two_sided: bool) -> FloatArray:
    """Approximate p-values for sample sizes at which the exact law is too costly.

    Parameters
    ----------
    statistic
        K-S statistics in [0, 1], any shape.
    n, m
        Sample sizes.
    two_sided
        Whether the statistic is ``max(D+, D-)``.

    Notes
    -----
    Two-sided: the one-sample law at the effective size ``n m / (n + m)``, rounded. One-sided: Hodges (1958),
    formula 5.3, which corrects Smirnov's ``exp(-2 z^2)`` for the sample sizes. Both as scipy does it.
    """
    larger, smaller = float(max(n, m)), float(min(n, m))
    effective = larger * smaller / (larger + smaller)
    if two_sided:
        return np.asarray(np.clip(kstwo.sf(statistic, np.round(effective)), 0.0, 1.0), dtype=np.float64)
    z = math.sqrt(effective) * statistic
    correction = (larger + 2.0 * smaller) / math.sqrt(larger * smaller * (larger + smaller)) / 3.0
    return np.asarray(np.clip(np.exp(-2.0 * z * z - 2.0 * z * correction), 0.0, 1.0), dtype=np.float64)
