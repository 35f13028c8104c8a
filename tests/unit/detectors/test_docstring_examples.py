"""The examples in the docstrings do what they show."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module", ["ks_drift", "kolmogorov_smirnov.ks_test", "promises.online_fdr", "promises.tie_breaking"]
)
def test_examples_run_as_shown(module: str) -> None:
    result = doctest.testmod(import_module(f"detectors.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
