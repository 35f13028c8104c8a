"""False discoveries and power over many segments; run as ``python -m tests.benchmarks.online_fdr``.

Every segment sends one window; all are tested against one shared reference, which is drawn afresh in every
repetition. In drifted segments a share of the scores is replaced by drifted ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from detectors.corrections import benjamini_hochberg
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
from detectors.promises.online_fdr import OnlineFdr

SEGMENTS = 1000
DRIFTED_SHARE = 0.05
Q = 0.05


def discoveries(procedure: OnlineFdr, p_values: np.ndarray) -> np.ndarray:
    """Which of a stream of p-values the procedure discovers."""
    state, found = procedure.start(), np.zeros(p_values.size, dtype=bool)
    for place, p_value in enumerate(p_values):
        state, threshold = procedure.step(state, p_value)
        found[place] = p_value <= threshold
    return found


class Scores:
    """Clean and drifted scores, uniform or real."""

    def __init__(self, clean: np.ndarray | None, drifted: np.ndarray | None, strength: float) -> None:
        self.clean, self.drifted, self.strength = clean, drifted, strength

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Clean scores of that shape."""
        return rng.random(shape) if self.clean is None else rng.choice(self.clean, shape)

    def draw_drifted(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Scores of that shape, a share ``strength`` of them drifted."""
        replaced = rng.random(shape) < self.strength
        new = 0.5 + rng.random(shape) if self.drifted is None else rng.choice(self.drifted, shape)
        return np.where(replaced, new, self.draw(shape, rng))


def main() -> None:
    """Print one row a procedure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--reference", type=int, default=5000, help="size of the reference")
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument(
        "--strength", type=float, default=0.3, help="share of drifted scores in a drifted window"
    )
    parser.add_argument("--scores", type=Path, help=".npz file with real scores")
    parser.add_argument("--clean-key", default="score_test")
    parser.add_argument("--drifted-key", default="score_gaussian_noise_5")
    arguments = parser.parse_args()
    scores = Scores(None, None, arguments.strength)
    if arguments.scores is not None:
        with np.load(arguments.scores, allow_pickle=False) as file:
            scores = Scores(file[arguments.clean_key], file[arguments.drifted_key], arguments.strength)

    rng = np.random.default_rng(11)
    procedures = {
        "SAFFRON": lambda p: discoveries(OnlineFdr(Q), p),
        "ADDIS (0.25, 0.5)": lambda p: discoveries(OnlineFdr(Q, candidate=0.25, discard=0.5), p),
        "Bonferroni": lambda p: p < Q / SEGMENTS,
        "Benjamini-Hochberg, offline": lambda p: p < benjamini_hochberg(p, Q)[1],
        "p < 0.05": lambda p: p < 0.05,
    }
    false_shares: dict[str, list[float]] = {name: [] for name in procedures}
    powers: dict[str, list[float]] = {name: [] for name in procedures}
    for _ in range(arguments.repetitions):
        test = KolmogorovSmirnovTest(scores.draw((arguments.reference,), rng), "higher")
        drifts = rng.random(SEGMENTS) < DRIFTED_SHARE
        shape = (SEGMENTS, arguments.window)
        windows = np.where(drifts[:, None], scores.draw_drifted(shape, rng), scores.draw(shape, rng))
        p_values = test.test(windows).p_value
        for name, decide in procedures.items():
            found = decide(p_values)
            false_shares[name].append((found & ~drifts).sum() / max(found.sum(), 1))
            powers[name].append(found[drifts].mean())
    print(f"{SEGMENTS} segments, {DRIFTED_SHARE:.0%} drifted, q = {Q}, {arguments.repetitions} repetitions\n")
    print(f"{'procedure':<28} {'FDR':>16} {'power':>8}")
    for name in procedures:
        error = 1.96 * np.std(false_shares[name]) / np.sqrt(arguments.repetitions)
        print(f"{name:<28} {np.mean(false_shares[name]):>7.4f} +- {error:.4f} {np.mean(powers[name]):>8.3f}")


if __name__ == "__main__":
    main()
