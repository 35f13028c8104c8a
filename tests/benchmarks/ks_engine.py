"""How fast the K-S engine is beside scipy; run as ``python -m tests.benchmarks.ks_engine``."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats

from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest

SIZES = [(1000, 50), (1000, 100), (1000, 500), (10_000, 100), (10_000, 500), (10_000, 1000)]
WINDOWS = 100
SCIPY_NAMES = {"two-sided": "two-sided", "higher": "greater"}


def microseconds(work: Callable[[], object], repetitions: int) -> float:
    """Shortest time of one call."""
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


def measure(n: int, m: int, alternative: str, scipy_windows: int, repetitions: int) -> list[str]:
    """One row of the table."""
    rng = np.random.default_rng(n + m)
    reference, windows = rng.normal(size=n), rng.normal(size=(WINDOWS, m))
    test = KolmogorovSmirnovTest(reference, alternative)
    ks_null_law.cache_clear()
    first = microseconds(lambda: test.test(windows), 1) / WINDOWS
    ours = microseconds(lambda: test.test(windows), repetitions) / WINDOWS

    def scipy_loop() -> list[float]:
        return [
            stats.ks_2samp(reference, window, alternative=SCIPY_NAMES[alternative]).pvalue
            for window in windows[:scipy_windows]
        ]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = microseconds(scipy_loop, 3) / scipy_windows
        difference = np.max(np.abs(test.test(windows[:scipy_windows]).p_value / scipy_loop() - 1))
    exact = "" if difference < 1e-9 else "  (scipy falls back to asymptotic)"
    return [
        f"{n}",
        f"{m}",
        alternative,
        f"{ours:.1f}",
        f"{first:.0f}",
        f"{theirs:.0f}",
        f"{theirs / ours:.0f}",
        f"{difference:.0e}{exact}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scipy-windows", type=int, default=20, help="windows that scipy tests a row")
    parser.add_argument("--repetitions", type=int, default=10, help="timed calls of the engine a row")
    arguments = parser.parse_args()
    header = ["n", "m", "alternative", "us/window", "first us", "scipy us", "ratio", "largest p difference"]
    print(f"{WINDOWS} windows a call; 'first' is the first call of the process for these sizes.\n")
    row_format = "{:>6} {:>5}  {:<11} {:>9} {:>9} {:>9} {:>6}  {}"
    print(row_format.format(*header))
    for n, m in SIZES:
        for alternative in SCIPY_NAMES:
            row = measure(n, m, alternative, arguments.scipy_windows, arguments.repetitions)
            print(row_format.format(*row), flush=True)


if __name__ == "__main__":
    main()
