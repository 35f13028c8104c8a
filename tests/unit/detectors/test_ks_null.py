"""The exact null law, checked against counts in rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from detectors.kolmogorov_smirnov.ks_null import KSNullLaw, asymptotic_p_values, ks_null_law


def counted_p_value(n: int, m: int, h: int, two_sided: bool) -> Fraction:
    """Share of lattice paths that touch a line, by counting those that do not."""
    gcd = math.gcd(n, m)
    inside = [[0] * (m + 1) for _ in range(n + 1)]
    for i in range(n + 1):
        for j in range(m + 1):
            deviation = i * (m // gcd) - j * (n // gcd)
            if deviation >= h or (two_sided and -deviation >= h):
                continue
            if i == j == 0:
                inside[0][0] = 1
                continue
            inside[i][j] = (inside[i - 1][j] if i else 0) + (inside[i][j - 1] if j else 0)
    return 1 - Fraction(inside[n][m], math.comb(n + m, n))


@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize(
    ("n", "m"), [(1, 1), (2, 2), (1, 7), (5, 3), (12, 8), (8, 40), (30, 30), (60, 25), (97, 31), (150, 60)]
)
def test_p_values_keep_thirteen_digits_down_to_the_smallest(n: int, m: int, two_sided: bool) -> None:
    law = KSNullLaw(n, m, two_sided)
    lattice = np.unique(np.linspace(1, law.lcm, 25).astype(int))
    computed = law.p_values(lattice)
    for h, p in zip(lattice, computed, strict=True):
        truth = counted_p_value(n, m, int(h), two_sided)
        assert abs(Fraction(float(p)) / truth - 1) < Fraction(1, 10**13)


@pytest.mark.parametrize("two_sided", [True, False])
def test_p_values_are_exact_at_a_thousand_against_a_hundred(two_sided: bool) -> None:
    law = KSNullLaw(1000, 100, two_sided)
    for h in (10, 150):
        truth = counted_p_value(1000, 100, h, two_sided)
        assert abs(Fraction(float(law.p_values(h))) / truth - 1) < Fraction(1, 10**13)


def test_two_against_two_fully_apart() -> None:
    assert KSNullLaw(2, 2, two_sided=True).p_values(2) == pytest.approx(1 / 3, rel=1e-15)


def test_ends_of_the_range() -> None:
    law = KSNullLaw(6, 4, two_sided=True)
    np.testing.assert_array_equal(law.p_values([0, law.lcm + 1]), [1.0, 0.0])


def test_values_do_not_depend_on_the_order_or_company_in_which_they_are_asked() -> None:
    lattice = np.arange(1, 200)
    together = KSNullLaw(200, 50, two_sided=True).p_values(lattice)
    law = KSNullLaw(200, 50, two_sided=True)
    alone = np.array([law.p_values(h) for h in lattice[::-1]])[::-1]
    np.testing.assert_allclose(together, alone, rtol=1e-13)
    assert (np.diff(together) <= 1e-14).all()


def test_critical_value_is_the_first_lattice_value_within_the_level() -> None:
    law = KSNullLaw(1000, 100, two_sided=False)
    h = law.critical_value(0.01)
    assert law.p_values(h) <= 0.01 < law.p_values(h - 1)
    assert KSNullLaw(2, 2, two_sided=True).critical_value(0.05) == 3


def test_the_law_is_symmetric_and_shared() -> None:
    np.testing.assert_allclose(
        KSNullLaw(70, 20, True).p_values([30, 60]), KSNullLaw(20, 70, True).p_values([30, 60]), rtol=1e-14
    )
    assert ks_null_law(70, 20, True) is ks_null_law(70, 20, True)


@pytest.mark.parametrize("two_sided", [True, False])
def test_asymptotic_formula_comes_near_the_exact_law(two_sided: bool) -> None:
    law = KSNullLaw(3000, 700, two_sided)
    lattice = (np.array([0.04, 0.06, 0.08]) * law.lcm).astype(int)
    approximate = asymptotic_p_values(lattice / law.lcm, 3000, 700, two_sided)
    np.testing.assert_allclose(approximate, law.p_values(lattice), rtol=0.05)
