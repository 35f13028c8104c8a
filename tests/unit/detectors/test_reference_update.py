"""How references take in new instances."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.errors import InvalidArgumentError
from detectors.reference_update import ReferenceUpdate


def test_last_keeps_the_newest() -> None:
    update = ReferenceUpdate.parse({"last": 4})
    kept = update.apply(np.arange(5.0), np.array([5.0, 6.0]), 5, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, [3.0, 4.0, 5.0, 6.0])


def test_last_fills_up_before_it_forgets() -> None:
    kept = ReferenceUpdate("last", 10).apply(np.arange(3.0), np.array([9.0]), 3, np.random.default_rng(0))
    np.testing.assert_array_equal(kept, [0.0, 1.0, 2.0, 9.0])


def test_reservoir_holds_a_uniform_sample_of_everything_seen() -> None:
    rng = np.random.default_rng(1)
    update = ReferenceUpdate.parse({"reservoir_sampling": 10})
    runs, times_kept = 4000, np.zeros(40)
    for _ in range(runs):
        reservoir, seen = np.arange(6), 6
        for start, stop in ((6, 13), (13, 25), (25, 40)):
            reservoir = update.apply(reservoir, np.arange(start, stop), seen, rng)
            seen = stop
        assert len(np.unique(reservoir)) == 10
        times_kept[reservoir] += 1
    # Each of the 40 is kept with probability 1/4; five standard deviations of a binomial count.
    np.testing.assert_allclose(times_kept, runs / 4, atol=5 * np.sqrt(runs * 0.25 * 0.75))


def test_the_given_reference_is_left_as_it_was() -> None:
    reference = np.arange(3.0)
    for update in (ReferenceUpdate("last", 3), ReferenceUpdate("reservoir_sampling", 3)):
        update.apply(reference, np.full(50, 9.0), 3, np.random.default_rng(2))
    np.testing.assert_array_equal(reference, [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    "spec", [{}, {"first": 3}, {"last": 0}, {"last": 2.5}, {"last": True}, {"last": 1, "x": 2}, "last"]
)
def test_other_specifications_are_refused(spec: object) -> None:
    with pytest.raises(InvalidArgumentError, match="update_x_ref must be None"):
        ReferenceUpdate.parse(spec)
