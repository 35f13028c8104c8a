"""What keeps harmless drift from being flagged; run as ``python -m tests.benchmarks.harmless_drift DATA``.

Fog and low contrast change the scores of inputs that the teacher still gets right. Each row is another way
to score or to test; each cell is the share of windows of 100 flagged at p < 0.05, in per cent, over random
references of 1,000. A way that helps flags less of the harmless windows and as much of the harmful ones.
``--students`` trains small students on 8,000 images, which takes minutes, and compares them with each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import stats

from detectors.cusum.rank_cusum import RankCusumTest
from detectors.flagged_fraction import FlaggedFractionTest
from detectors.kolmogorov_smirnov.ks_test import KolmogorovSmirnovTest
from tests.benchmarks.cifar10_scores import TYPES, CifarScores, kld, xent

FloatArray = npt.NDArray[np.float64]

WINDOW = 100
REFERENCE = 1000
P_VAL = 0.05
HARMLESS_SHARE = 0.9
HARMFUL_SHARES = (0.2, 0.5)
ALL_TYPES = (*TYPES, "fog", "contrast")


@dataclass(frozen=True)
class Sample:
    """Scored inputs.

    Attributes
    ----------
    scores
        Shape (n,).
    groups
        Group that each input belongs to, for tests that compare like with like, shape (n,).
    """

    scores: FloatArray
    groups: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> Sample:
        """Choose inputs; any shape of ``rows``."""
        return Sample(self.scores[rows], self.groups[rows])


Test = Callable[[Sample, Sample], FloatArray]
"""P-values of windows, a sample of shape (k, WINDOW), against a reference of shape (REFERENCE,)."""
Score = Callable[[FloatArray, FloatArray], FloatArray]
"""Scores from teacher and student probabilities."""
Group = Callable[[FloatArray], npt.NDArray[np.int64]]
"""Groups from teacher probabilities."""


def ks(reference: Sample, windows: Sample) -> FloatArray:
    """One-sided K-S test of the scores."""
    return KolmogorovSmirnovTest(reference.scores, "higher").test(windows.scores).p_value


def flagged_fraction(percentile: float, reference: Sample, windows: Sample) -> FloatArray:
    """Fisher's exact test of the number of scores above a percentile of the reference."""
    limit = np.percentile(reference.scores, percentile)
    above = (windows.scores > limit).sum(axis=1)
    total = int((reference.scores > limit).sum())
    tails = stats.hypergeom.sf(above - 1, REFERENCE + WINDOW, total + above, WINDOW)
    return np.asarray(tails)


def ks_within_groups(reference: Sample, windows: Sample) -> FloatArray:
    """One-sided K-S test of the places that scores take among the reference scores of their group.

    The reference is thereby reweighted to the groups of each window.
    """
    places = np.full(windows.scores.shape, 0.5)
    own = []
    for group in np.unique(reference.groups):
        members = np.sort(reference.scores[reference.groups == group])
        own.append((np.arange(len(members)) + 0.5) / len(members))
        chosen = windows.groups == group
        places[chosen] = np.searchsorted(members, windows.scores[chosen]) / len(members)
    return KolmogorovSmirnovTest(np.concatenate(own), "higher").test(places).p_value


def shipped_flagged_fraction(reference: Sample, windows: Sample) -> FloatArray:
    """The window test ``flagged_fraction``."""
    return FlaggedFractionTest(reference.scores, "higher").test(windows.scores).p_value


def rank_cusum(reference: Sample, windows: Sample) -> FloatArray:
    """One-sided CUSUM on ranks."""
    return RankCusumTest(reference.scores, "higher").test(windows.scores).p_value


def predicted_class(teacher: FloatArray) -> npt.NDArray[np.int64]:
    """Group by the class that the teacher names."""
    return teacher.argmax(axis=1)


def confidence_fifth(teacher: FloatArray, limits: FloatArray) -> npt.NDArray[np.int64]:
    """Group by how sure the teacher is."""
    return np.searchsorted(limits, teacher.max(axis=1)).astype(np.int64)


def flagged_shares(
    data: CifarScores, score: Score, group: Group, test: Test, references: int, windows: int, seed: int
) -> Iterator[float]:
    """Share of windows flagged: clean, harmless by type; harmful over the four types, fog and contrast."""
    rng = np.random.default_rng(seed)
    clean = Sample(score(data.teacher, data.student), group(data.teacher))
    drifted = {
        name: Sample(score(c.teacher, c.student), group(c.teacher)) for name, c in data.corrupted.items()
    }
    harmless = {name: np.flatnonzero(c.harmless) for name, c in data.corrupted.items()}
    harmful = {name: np.flatnonzero(c.harmful) for name, c in data.corrupted.items()}
    conditions = [(None, np.empty(0, np.int64), 0.0)]
    conditions += [(name, harmless[name], HARMLESS_SHARE) for name in ALL_TYPES]
    conditions += [(name, harmful[name], share) for share in HARMFUL_SHARES for name in ALL_TYPES]
    flagged = np.zeros((len(conditions), references))
    for run in range(references):
        order = rng.permutation(len(clean.scores))
        reference, rest = clean.take(order[:REFERENCE]), order[REFERENCE:]
        for row, (name, pool, share) in enumerate(conditions):
            window = clean.take(rng.choice(rest, (windows, WINDOW)))
            if name is not None:
                new = drifted[name].take(rng.choice(pool, (windows, WINDOW)))
                replaced = rng.random((windows, WINDOW)) < share
                window = Sample(
                    np.where(replaced, new.scores, window.scores),
                    np.where(replaced, new.groups, window.groups),
                )
            flagged[row, run] = (test(reference, window) < P_VAL).mean()
    shares = flagged.mean(axis=1)
    yield shares[0]
    yield from shares[1 : 1 + len(ALL_TYPES)]
    for found in shares[1 + len(ALL_TYPES) :].reshape(len(HARMFUL_SHARES), -1):
        yield found[: len(TYPES)].mean()
        yield from found[len(TYPES) :]


def ways(data: CifarScores) -> Iterator[tuple[str, Score, Group, Test]]:
    """Ways to score and to test."""
    yield "kld", kld, predicted_class, ks
    for temperature in (0.5, 2.0, 4.0):
        yield f"kld, temperature {temperature:g}", partial(kld, temperature=temperature), predicted_class, ks
    for temperature in (1.0, 2.0, 4.0):
        yield (
            f"xent, temperature {temperature:g}",
            partial(xent, temperature=temperature),
            predicted_class,
            ks,
        )
    for percentile in (80.0, 90.0, 95.0, 97.5, 99.0):
        test = partial(flagged_fraction, percentile)
        yield f"kld, share above the {percentile:g} % percentile", kld, predicted_class, test
    yield "kld, flagged_fraction", kld, predicted_class, shipped_flagged_fraction
    yield "kld, rank_cusum", kld, predicted_class, rank_cusum
    yield "kld, like with like: predicted class", kld, predicted_class, ks_within_groups
    limits = np.quantile(data.teacher.max(axis=1), [0.2, 0.4, 0.6, 0.8])
    fifth = partial(confidence_fifth, limits=limits)
    yield "kld, like with like: teacher's confidence", kld, fifth, ks_within_groups
    yield "kld, both", kld, lambda t: 5 * predicted_class(t) + fifth(t), ks_within_groups


def print_row(name: str, shares: Iterator[float]) -> None:
    """Print a row of the table."""
    print(f"| {name} | " + " | ".join(f"{100 * share:.0f}" for share in shares) + " |", flush=True)


def print_heading() -> None:
    """Print the head of the table."""
    cells = [f"{name}, harmless {HARMLESS_SHARE:.0%}" for name in ALL_TYPES]
    kinds = ("four types", "fog", "contrast")
    cells += [f"{name}, harmful {share:.0%}" for share in HARMFUL_SHARES for name in kinds]
    print("| score and test | clean | " + " | ".join(cells) + " |")
    print("|---" * (len(cells) + 2) + "|")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="directory with probs.npz and cifar10_eval.npz")
    parser.add_argument("--references", type=int, default=40)
    parser.add_argument("--windows", type=int, default=25, help="windows a reference and cell")
    parser.add_argument("--students", action="store_true", help="compare trained students instead")
    parser.add_argument("--epochs", type=int, default=8, help="of their training")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    measure = partial(
        flagged_shares, references=arguments.references, windows=arguments.windows, seed=arguments.seed
    )
    print_heading()
    if arguments.students:
        from tests.benchmarks.harmless_students import trained

        for name, data in trained(arguments.data, ALL_TYPES, arguments.epochs):
            print_row(name, measure(data, kld, predicted_class, ks))
        return
    data = CifarScores.read(arguments.data, ALL_TYPES)
    for name, score, group, test in ways(data):
        print_row(name, measure(data, score, group, test))


if __name__ == "__main__":
    main()
