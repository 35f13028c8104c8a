"""Promised and measured false alarms side by side; run as ``python -m tests.benchmarks.promises``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from detectors.kolmogorov_smirnov.boundary_crossing import false_alarm_rates
from detectors.kolmogorov_smirnov.ks_null import ks_null_law
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
from detectors.promises.promises import Threshold, expected_run_time_threshold
from detectors.promises.tie_breaking import TieBreaker

RUN_TIMES = [100, 1000]
SIZES = [(n, m) for n in (1000, 10_000) for m in (50, 100, 500)]
CONFIDENCE = 0.9


class Population:
    """Scores drawn with replacement from a sample, ties put into random order; or uniform scores."""

    def __init__(self, scores: np.ndarray | None, seed: int) -> None:
        self.scores = scores
        self.rng = np.random.default_rng(seed)

    def reference_and_windows(self, n: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """A sorted reference, shape (n,), and clean scores to cut windows from, shape (count,)."""
        if self.scores is None:
            return np.sort(self.rng.random(n)), self.rng.random(count)
        breaker = TieBreaker(self.rng.choice(self.scores, n))
        stream = self.rng.choice(self.scores, (1, count))
        return breaker.reference, breaker.windows(stream, self.rng.random(stream.shape))[0]

    def positions(self, references: int, n: int) -> np.ndarray:
        """Places of sorted references in the population, shape (references, n)."""
        if self.scores is None:
            return np.sort(self.rng.random((references, n)), axis=1)
        # A tied score lies at a random place among its equals.
        drawn = self.rng.integers(self.scores.size, size=(references, n))
        return np.sort((drawn + self.rng.random(drawn.shape)) / self.scores.size, axis=1)


def drifted(
    reference: np.ndarray, windows: np.ndarray, threshold: Threshold, rng: np.random.Generator
) -> np.ndarray:
    """Verdict on each window."""
    p_value = KolmogorovSmirnovTest(reference, "higher").test(windows).p_value
    return threshold.is_drift(p_value, rng.random(p_value.size))


def per_reference_alarms(
    population: Population, run_time: int, n: int, m: int, hop: int, references: int, windows: int
) -> np.ndarray:
    """Alarms in so many windows of each reference, shape (references,)."""
    threshold = expected_run_time_threshold(run_time, n, m, hop=hop)
    quiet = m // hop - 1
    alarms = np.zeros(references)
    for run in range(references):
        reference, scores = population.reference_and_windows(n, hop * (windows + quiet - 1) + m)
        cut = np.lib.stride_tricks.sliding_window_view(scores, m)[::hop]
        verdicts = drifted(reference, cut, threshold, population.rng)
        if quiet:
            before = np.lib.stride_tricks.sliding_window_view(verdicts, quiet)[:-1].any(axis=1)
            alarms[run] = (verdicts[quiet:] & ~before).sum()
        else:
            alarms[run] = verdicts.sum()
    return alarms


def kept_shares(
    population: Population, run_time: int, n: int, m: int, references: int
) -> tuple[float, float, list]:
    """Share of references that keep 1/T, with and without confidence, and quantiles of T times their rate."""
    law = ks_null_law(n, m, False)
    confident = expected_run_time_threshold(run_time, n, m, confidence=CONFIDENCE)
    plain = law.critical_value(1 / run_time)
    with_confidence = law.critical_value(confident.level * (1 + 1e-9))
    rates = {plain: [], with_confidence: []}
    for start in range(0, references, 250):
        positions = population.positions(min(250, references - start), n)
        for statistic, found in rates.items():
            found.append(false_alarm_rates(positions, m, statistic, "higher"))
    pooled = np.concatenate(rates[plain])
    spread = np.quantile(pooled * run_time, [0.05, 0.5, 0.95]).round(2).tolist()
    kept = np.concatenate(rates[with_confidence])
    return float((kept <= 1 / run_time).mean()), float((pooled <= 1 / run_time).mean()), spread


def verdict(alarms: np.ndarray, windows: int, run_time: int, tolerance: float) -> tuple[float, float, str]:
    """Measured rate times T, half its 95 % interval, and whether the promise holds."""
    ratio = alarms.mean() / windows * run_time
    half = 1.96 * alarms.std() / np.sqrt(alarms.size) / windows * run_time
    return ratio, half, "ok" if abs(ratio - 1) <= max(tolerance, half) else "MISSED"


def print_table(
    name: str, population: Population, run_times: list[int], budget: int, references: int
) -> None:
    """Measure every row; ``budget`` is the number of windows to test in each."""
    print(f"\nPopulation: {name}. Rates are given as multiples of the promised 1/T.\n")
    print(
        f"{'T':>5} {'n':>6} {'m':>4} | {'tumbling rate':>15} {'':6} | {'sliding rate':>15} {'':6} |"
        f" {'kept, c=0.9':>11} {'kept, no c':>10} | {'rate of one reference: 5 %, 50 %, 95 %':<38} | seconds"
    )
    for run_time in run_times:
        for n, m in SIZES:
            begun = time.perf_counter()
            runs = max(budget // 100, 100)
            tumbling = per_reference_alarms(population, run_time, n, m, m, runs, 100)
            ratio, half, word = verdict(tumbling, 100, run_time, 0.05)
            sliding = per_reference_alarms(population, run_time, n, m, m // 10, runs, 100)
            sliding_ratio, sliding_half, sliding_word = verdict(sliding, 100, run_time, 0.10)
            kept, kept_plain, spread = kept_shares(population, run_time, n, m, references)
            print(
                f"{run_time:>5} {n:>6} {m:>4} | {ratio:>7.3f} +- {half:<5.3f} {word:>5} "
                f" | {sliding_ratio:>7.3f} +- {sliding_half:<5.3f} {sliding_word:>5}  |"
                f" {kept:>11.3f} {kept_plain:>10.3f} | {spread!s:<38} | {time.perf_counter() - begun:.0f}",
                flush=True,
            )


def main() -> None:
    """Print one table for uniform scores and, if a file is given, one for the scores in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=int, default=100_000, help="windows tested a cell")
    parser.add_argument("--run-times", type=int, nargs="+", default=RUN_TIMES, help="promises to measure")
    parser.add_argument(
        "--references", type=int, default=1000, help="references whose rate is computed a row"
    )
    parser.add_argument("--scores", type=Path, help=".npz file with real scores as another population")
    parser.add_argument("--key", default="score_test", help="name of the array in the file")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    rest = (arguments.run_times, arguments.budget, arguments.references)
    print_table("uniform", Population(None, arguments.seed), *rest)
    if arguments.scores is not None:
        with np.load(arguments.scores, allow_pickle=False) as file:
            scores = np.sort(np.asarray(file[arguments.key], dtype=np.float64).ravel())
        name = f"{scores.size} scores of {arguments.scores.name}, {np.unique(scores).size} distinct"
        print_table(name, Population(scores, arguments.seed + 1), *rest)


if __name__ == "__main__":
    main()
