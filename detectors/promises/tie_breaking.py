"""Randomised order among tied scores, which restores the exact false-alarm rate of the K-S test."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError
from detectors.promises.window_samples import sorted_reference

FloatArray = npt.NDArray[np.float64]


class TieBreaker:
    """Replaces scores by numbers in the same order, with equal scores put into random order.

    Scores that saturate (a student that agrees with a sure teacher scores 0 again and again) are tied, and
    ties make the K-S test conservative: it raises fewer false alarms than promised, and sees less. With the
    order among equal scores drawn at random the null law holds exactly, whatever the population.

    Parameters
    ----------
    reference
        Scores of a clean sample, shape (n,), any order.

    Attributes
    ----------
    reference
        Numbers to test against in place of the reference, sorted and distinct, float64, shape (n,).

    Notes
    -----
    With ``r(x)`` the number of distinct reference scores below x, a score becomes ``r(x) + U`` if it is among
    them and ``r(x)`` if not, U uniform on [0, 1). So the pooled order of clean scores is uniformly random, as
    it is where scores are continuous: the distributional transform, with ranks in place of probabilities.

    References
    ----------
    L. Rüschendorf (2009), "On the distributional transform, Sklar's theorem, and the empirical copula
    process", Journal of Statistical Planning and Inference 139, 3921-3927.

    Examples
    --------
    >>> breaker = TieBreaker([0.0, 0.0, 1.0])
    >>> untied = breaker.windows([[0.0, 1.0, 2.0]], uniforms=[[0.5, 0.5, 0.5]])
    >>> bool((np.diff(breaker.reference) > 0).all()), untied
    (True, array([[0.5, 1.5, 2. ]]))
    """

    def __init__(self, reference: npt.ArrayLike) -> None:
        scores = sorted_reference(reference)
        self._distinct, group = np.unique(scores, return_inverse=True)
        # Named by its content: all workers order a reference alike, and no two references share their luck.
        content = blake2b(scores.astype("<f8").tobytes()).hexdigest()
        order = np.sort(group + uniforms_of(f"reference {content}", scores.size))
        order.setflags(write=False)
        self.reference: FloatArray = order

    def windows(self, windows: npt.ArrayLike, uniforms: npt.ArrayLike) -> FloatArray:
        """Numbers to test in place of windows.

        Parameters
        ----------
        windows
            Window scores, shape (k, m); a NaN stays one.
        uniforms
            Independent uniform numbers in [0, 1), shape (k, m).

        Returns
        -------
        FloatArray
            Shape (k, m). Score j of the distinct reference scores, counted from 0, becomes j plus its uniform
            number; a score between j - 1 and j becomes j.

        Raises
        ------
        InvalidArgumentError
            If the shapes differ.
        """
        scores = np.asarray(windows, dtype=np.float64)
        shifts = np.asarray(uniforms, dtype=np.float64)
        if scores.shape != shifts.shape:
            raise InvalidArgumentError(
                f"There must be one uniform number a score: windows have shape {scores.shape}, "
                f"uniforms {shifts.shape}."
            )
        group = np.searchsorted(self._distinct, scores)
        tied = self._distinct[np.minimum(group, self._distinct.size - 1)] == scores
        untied = group + np.where(tied, shifts, 0.0)
        untied[np.isnan(scores)] = np.nan
        return np.asarray(untied, dtype=np.float64)


def uniforms_of(name: str, count: int, start: int = 0) -> FloatArray:
    """Numbers in [0, 1) that depend on a name alone, so that ties broken by them are always broken alike.

    Parameters
    ----------
    name
        What the sequence belongs to, such as a window.
    count
        How many numbers.
    start
        How many numbers of the sequence to pass over: ``uniforms_of(name, 9)[4:]`` is
        ``uniforms_of(name, 5, start=4)``.

    Returns
    -------
    FloatArray
        Shape (count,).

    Notes
    -----
    PCG64 seeded with 128 bits of BLAKE2b. Raw bits are taken, since numpy promises that they stay the same
    from release to release, which it does not for what it draws from them.
    """
    bits = np.random.PCG64(int.from_bytes(blake2b(name.encode(), digest_size=16).digest(), "big"))
    if start:
        bits.advance(start)
    return np.asarray((bits.random_raw(count) >> np.uint64(11)) * 2.0**-53, dtype=np.float64)
