"""Ways to keep a reference set current in offline use: the last instances, or a reservoir of all seen.

A reference that updates itself learns slow drift and then no longer sees it; a deployed monitor therefore
works with versioned references that are promoted by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from detectors.errors import InvalidArgumentError


@dataclass(frozen=True)
class ReferenceUpdate:
    """How a reference set takes in new instances.

    Attributes
    ----------
    kind
        ``last`` keeps the newest instances; ``reservoir_sampling`` keeps a uniform sample of all seen so far.
    size
        Most instances that are kept.
    """

    kind: Literal["last", "reservoir_sampling"]
    size: int

    @classmethod
    def parse(cls, spec: Mapping[str, int]) -> ReferenceUpdate:
        """Read ``{'last': n}`` or ``{'reservoir_sampling': n}``.

        Raises
        ------
        InvalidArgumentError
            If it is neither, or n is not a positive integer.
        """
        if isinstance(spec, Mapping) and len(spec) == 1:
            kind, size = next(iter(spec.items()))
            valid_size = isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size > 0
            if kind == "last" and valid_size:
                return cls("last", int(size))
            if kind == "reservoir_sampling" and valid_size:
                return cls("reservoir_sampling", int(size))
        raise InvalidArgumentError(
            "update_x_ref must be None, {'last': n} or {'reservoir_sampling': n} with a positive integer n, "
            f"not {spec!r}."
        )

    def apply(
        self, x_ref: npt.NDArray[Any], x: npt.NDArray[Any], n_seen: int, rng: np.random.Generator
    ) -> npt.NDArray[Any]:
        """Return the reference set after taking in ``x``.

        Parameters
        ----------
        x_ref
            Reference instances, shape (n, ...); left as it is.
        x
            New instances, shape (k, ...), in the order seen.
        n_seen
            How many instances were seen before ``x``, those of the first reference included.
        rng
            Source of the reservoir's choices.

        Returns
        -------
        NDArray
            At most ``size`` instances.

        References
        ----------
        J. S. Vitter (1985), "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11,
        37-57 (algorithm R).
        """
        if self.kind == "last":
            return np.concatenate([x_ref, x])[-self.size :]
        room = max(self.size - len(x_ref), 0)
        reservoir = np.concatenate([x_ref, x[:room]]) if room else x_ref[: self.size].copy()
        later = x[room:]
        # The i-th instance seen draws one of i places, and is dropped if the reservoir does not have it.
        places = rng.integers(0, n_seen + room + 1 + np.arange(len(later)))
        for place, instance in zip(places, later, strict=True):
            if place < self.size:
                reservoir[place] = instance
        return reservoir
