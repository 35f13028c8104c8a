"""The definition of the scores, against numbers worked out by hand and an independent formulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.errors import InvalidArgumentError
from detectors.losses import distillation_loss, kld, temper, xent


def by_hand(y: list[float], p: list[float], loss_type: str, temperature: float) -> float:
    """The score of one row in plain Python with fractional powers, as one would write it on paper."""
    powers = [value ** (1 / temperature) for value in y]
    y = [power / sum(powers) for power in powers]
    if loss_type == "kld":
        y = [min(max(value, 1e-7), 1.0) for value in y]
        p = [min(max(value, 1e-7), 1.0) for value in p]
        return math.fsum(a * (math.log(a) - math.log(b)) for a, b in zip(y, p, strict=True))
    p = [min(max(value / sum(p), 1e-7), 1 - 1e-7) for value in p]
    return -math.fsum(a * math.log(b) for a, b in zip(y, p, strict=True))


ROWS = [
    ([0.7, 0.2, 0.1], [0.6, 0.3, 0.1]),
    ([1.0, 0.0, 0.0], [0.6, 0.3, 0.1]),
    ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ([0.0, 0.5, 0.5], [1.0, 0.0, 0.0]),
    ([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
    ([1 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3]),
    ([1e-9, 1e-9, 1 - 2e-9], [1e-12, 0.5, 0.5]),
]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("loss_type", ["kld", "xent"])
@pytest.mark.parametrize(("y", "p"), ROWS)
def test_loss_is_what_one_computes_by_hand(y, p, loss_type, temperature):
    assert distillation_loss([y], [p], loss_type, temperature)[0] == pytest.approx(
        by_hand(y, p, loss_type, temperature), rel=1e-12, abs=1e-15
    )


def test_known_values():
    assert kld([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * math.log(4 / 3))
    assert xent([1.0, 0.0], [0.25, 0.75]) == pytest.approx(math.log(4))
    assert kld([1.0, 0.0], [0.0, 1.0]) == pytest.approx(math.log(1e7) * (1 - 1e-7))
    assert xent([1.0, 0.0], [0.0, 1.0]) == pytest.approx(math.log(1e7))


def test_rows_of_zeros_and_ones_have_finite_losses():
    zeros, ones = np.zeros((1, 3)), np.ones((1, 3))
    assert kld(zeros, ones)[0] == pytest.approx(3e-7 * math.log(1e-7))
    assert kld(ones, zeros)[0] == pytest.approx(3 * math.log(1e7))
    assert xent(ones, zeros)[0] == pytest.approx(3 * math.log(1e7))
    assert xent(ones, ones)[0] == pytest.approx(3 * math.log(3))
    np.testing.assert_allclose(temper(ones, 2.0), ones / 3)
    np.testing.assert_array_equal(temper(zeros, 2.0), zeros)


def test_the_student_is_renormalised_for_xent_alone():
    assert xent([[1.0, 0.0]], [[0.4, 0.4]])[0] == pytest.approx(math.log(2))
    assert kld([[1.0, 0.0]], [[0.4, 0.4]])[0] == pytest.approx(-math.log(0.4), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.01, 0.001])
def test_small_temperatures_do_not_underflow(temperature):
    np.testing.assert_allclose(temper([[1e-5, 2e-5, 1e-6]], temperature), [[0, 1, 0]], atol=1e-12)
    np.testing.assert_allclose(temper([[0.5, 0.5, 0.0]], temperature), [[0.5, 0.5, 0.0]])


def test_large_temperatures_flatten_what_is_possible():
    np.testing.assert_allclose(temper([0.9, 0.1, 0.0], 1e6), [0.5, 0.5, 0.0], atol=1e-5)


def test_unknown_loss_is_named():
    with pytest.raises(InvalidArgumentError, match="loss_type is 'mse'; it must be one of kld, xent"):
        distillation_loss([[1.0, 0.0]], [[1.0, 0.0]], "mse")
