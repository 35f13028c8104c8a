"""Pairs drawn under the condition of an alarm, against pairs kept by rejection."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.errors import InvalidArgumentError
from detectors.kolmogorov_smirnov.ks_extremes import AlarmingWindows, ranks_in_own_reference
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import ks_statistic_of_ranks


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(("n", "m"), [(30, 12), (20, 20)])
def test_pairs_are_distributed_as_by_rejection(n: int, m: int, two_sided: bool) -> None:
    rng = np.random.default_rng(0)
    alternative = "two-sided" if two_sided else "higher"
    statistic = ks_null_law(n, m, two_sided).critical_value(0.2)
    references, unsorted_ranks = AlarmingWindows(n, m, statistic, two_sided).draw(12_000, rng)
    ranks = np.sort(unsorted_ranks, axis=1)
    assert (ks_statistic_of_ranks(ranks, ranks, n, alternative) >= statistic).all()
    assert (np.diff(references, axis=1) > 0).all()

    tried = np.sort(rng.random((60_000, n)), axis=1)
    tried_ranks = np.sort(ranks_in_own_reference(tried, rng.random((60_000, m))), axis=1)
    kept = ks_statistic_of_ranks(tried_ranks, tried_ranks, n, alternative) >= statistic
    for drawn, wanted in ((references, tried[kept]), (ranks, tried_ranks[kept])):
        error = 5 * wanted.std(axis=0) * np.sqrt(1 / len(drawn) + 1 / len(wanted))
        assert (np.abs(drawn.mean(axis=0) - wanted.mean(axis=0)) < error).all()
        assert np.allclose(drawn.std(axis=0), wanted.std(axis=0), rtol=0.06, atol=0.02)


def test_ranks_count_the_scores_of_the_own_reference() -> None:
    references = np.array([[0.1, 0.5], [0.7, 0.8]])
    np.testing.assert_array_equal(
        ranks_in_own_reference(references, np.array([[0.05, 0.2, 0.9], [0.2, 0.75, 0.9]])),
        [[0, 1, 2], [0, 1, 2]],
    )


def test_windows_larger_than_the_reference_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="window of 30 scores is larger than its reference of 20"):
        AlarmingWindows(20, 30, 10, two_sided=False)
