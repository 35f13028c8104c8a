"""Events until the alarm, ours beside river's and frouros' detectors; ``python -m tests.benchmarks.delay``.

Every episode draws a reference from the clean scores, then a stream: clean scores from the rest and, from a
random moment on, a share of harmful ones. False alarms are counted on streams that stay clean. All detectors
are set to one false alarm in 10,000 events: ours by their promise, which knows nothing of the population, the
others by a search over clean streams of this very population. Episodes with an alarm before the drift are
left out. Needs the extra ``benchmark`` for the others.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from detectors.cusum.rank_cusum import RankCusumTest
from detectors.cusum.rank_cusum_null import law_size, rank_cusum_law
from detectors.cusum.rank_cusum_promise import rank_cusum_threshold
from detectors.promises.promises import Threshold, expected_run_time_threshold
from detectors.window_tests import window_test
from tests.benchmarks.cifar10_scores import CifarScores

if TYPE_CHECKING:
    from tests.benchmarks.rival_detectors import Rival

EVENTS_PER_ALARM = 10_000
CONTAMINATIONS = (0.1, 0.2, 0.3, 0.5)
EARLIEST_DRIFT = 600
"""Clean scores before the drift at least; all windows are full by then."""
PHASES = 1000
"""The drift begins at a random place among so many, so that windows meet it at any phase."""
HORIZON = 6000
"""Drifted scores after which an episode is given up and counted at this many."""
SLOW_HORIZON = 1500
"""The same for slow detectors; they forget what was before the drift long before."""


@dataclass(frozen=True)
class Policy:
    """A window policy of ours with the threshold that promises the rate."""

    test: str
    alternative: str
    size: int
    hop: int

    @property
    def name(self) -> str:
        kind = f"sliding {self.size}/{self.hop}" if self.hop < self.size else f"tumbling {self.size}"
        return f"{self.test} {self.alternative}, {kind}"

    def threshold(self, reference: int) -> Threshold:
        windows = EVENTS_PER_ALARM / self.hop
        if self.test == "ks_2samp":
            return expected_run_time_threshold(windows, reference, self.size, self.alternative, hop=self.hop)
        if self.test == "rank_cusum":
            return rank_cusum_threshold(windows, reference, self.size, self.alternative, hop=self.hop)
        return Threshold(1.0 / windows, 1.0 / windows)


POLICIES = (
    *(Policy("ks_2samp", "higher", size, size) for size in (25, 50, 100, 200, 500)),
    *(Policy("ks_2samp", "higher", size, size // 10) for size in (50, 100, 200, 500)),
    Policy("ks_2samp", "higher", 50, 1),
    Policy("ks_2samp", "higher", 200, 1),
    Policy("mannwhitneyu", "higher", 100, 100),
    Policy("cramervonmises_2samp", "two-sided", 100, 100),
    Policy("anderson_ksamp", "two-sided", 100, 100),
    *(Policy("rank_cusum", "higher", 400, hop) for hop in (1, 2, 5, 10, 20)),
    Policy("rank_cusum", "higher", 200, 1),
    Policy("rank_cusum", "higher", 100, 1),
)


class Episodes:
    """References and streams, the same ones for every detector."""

    def __init__(self, scores: CifarScores, reference: int, count: int, seed: int) -> None:
        self.clean, self.harmful = scores.clean_scores(), scores.harmful_scores()
        self.reference, self.count, self.seed = reference, count, seed

    def draw(self, contamination: float, length: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """Reference, stream and the place of its first drifted score."""
        for episode in range(self.count):
            rng = np.random.default_rng([self.seed, int(contamination * 100), episode])
            order = rng.permutation(self.clean)
            onset = EARLIEST_DRIFT + int(rng.integers(PHASES)) if contamination else length
            stream = rng.choice(order[self.reference :], length)
            drifted = (rng.random(length) < contamination) & (np.arange(length) >= onset)
            stream[drifted] = rng.choice(self.harmful, int(drifted.sum()))
            yield order[: self.reference], stream, onset


def alarms_of_policy(
    policy: Policy, threshold: Threshold, reference: np.ndarray, stream: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Number of scores seen at each drifted window."""
    test = window_test(policy.test, reference, policy.alternative)
    if isinstance(test, RankCusumTest):
        # The same as below, with one pass over the stream instead of one over each window.
        law = rank_cusum_law(len(reference), law_size(policy.size), policy.alternative == "two-sided")
        p_values = law.p_values(test.statistics(stream[None], policy.size)[0, :: policy.hop])
    else:
        windows = np.lib.stride_tricks.sliding_window_view(stream, policy.size)[:: policy.hop]
        p_values = test.test(windows).p_value
    drifted = threshold.is_drift(p_values, rng.random(p_values.size))
    return np.flatnonzero(drifted) * policy.hop + policy.size


def onsets(alarms: np.ndarray, policy: Policy) -> int:
    """How many of the drifted windows begin an alarm: no window that overlaps them drifted before."""
    return int((np.diff(alarms, prepend=-policy.size) >= policy.size).sum())


def alarms_of_rival(rival: Rival, reference: np.ndarray, stream: np.ndarray, seed: int) -> Iterator[int]:
    """Number of scores seen at each alarm."""
    detector = rival.start(reference, seed)
    for seen, score in enumerate(stream.tolist(), start=1):
        if detector.update(score):
            yield seen


@dataclass
class Row:
    """What was measured of one detector."""

    name: str
    false_alarms: int
    clean_events: int
    delays: dict[float, np.ndarray]
    seconds: float
    horizon: int = HORIZON

    def __str__(self) -> str:
        thousands = self.clean_events / 1000
        low = stats.chi2.ppf(0.025, 2 * self.false_alarms) / 2 if self.false_alarms else 0.0
        high = stats.chi2.ppf(0.975, 2 * self.false_alarms + 2) / 2
        cells = [f"{self.false_alarms / thousands:.3f} ({low / thousands:.3f}-{high / thousands:.3f})"]
        for found in self.delays.values():
            half = 1.96 * found.std() / math.sqrt(max(len(found), 1))
            late = (found >= self.horizon).mean()
            cells.append(f"{found.mean():.1f} ± {half:.1f}" + (f" ({late:.0%} late)" if late else ""))
        return f"| {self.name} | " + " | ".join(cells) + f" | {self.seconds:.0f} |"


def measure_policy(policy: Policy, episodes: Episodes, clean_events: int) -> Row:
    """Measure one of our policies."""
    begun = time.perf_counter()
    threshold = policy.threshold(episodes.reference)
    rng = np.random.default_rng(episodes.seed)
    length = max(clean_events // episodes.count, 2 * policy.size)
    false_alarms = sum(
        onsets(alarms_of_policy(policy, threshold, reference, stream, rng), policy)
        for reference, stream, _ in episodes.draw(0.0, length)
    )
    delays = {}
    for contamination in CONTAMINATIONS:
        found = []
        for reference, stream, onset in episodes.draw(contamination, EARLIEST_DRIFT + PHASES + HORIZON):
            delay = _policy_delay(policy, threshold, reference, stream, onset, rng)
            if delay is not None:
                found.append(delay)
        delays[contamination] = np.array(found)
    tested = ((length - policy.size) // policy.hop + 1) * policy.hop * episodes.count
    return Row(policy.name, false_alarms, tested, delays, time.perf_counter() - begun)


def _policy_delay(
    policy: Policy,
    threshold: Threshold,
    reference: np.ndarray,
    stream: np.ndarray,
    onset: int,
    rng: np.random.Generator,
) -> int | None:
    # Most alarms come soon; a long stretch is looked at only when a short one stays silent.
    start = (onset - EARLIEST_DRIFT) // policy.hop * policy.hop
    for stretch in (100, 600, HORIZON):
        alarms = start + alarms_of_policy(policy, threshold, reference, stream[start : onset + stretch], rng)
        if (alarms <= onset).any():
            return None
        if alarms.size:
            return int(alarms[0]) - onset
    return HORIZON


def measure_rival(rival: Rival, episodes: Episodes, clean_events: int) -> Row:
    """Measure a detector of another library."""
    begun = time.perf_counter()
    horizon = SLOW_HORIZON if rival.slow else HORIZON
    length = clean_events // episodes.count
    false_alarms = sum(
        len(list(alarms_of_rival(rival, reference, stream, seed)))
        for seed, (reference, stream, _) in enumerate(episodes.draw(0.0, length))
    )
    delays = {}
    for contamination in CONTAMINATIONS:
        found = []
        for seed, (reference, stream, onset) in enumerate(
            episodes.draw(contamination, EARLIEST_DRIFT + PHASES + HORIZON)
        ):
            start = 0 if rival.memory is None else onset - min(2 * rival.memory, EARLIEST_DRIFT)
            first = next(alarms_of_rival(rival, reference, stream[start : onset + horizon], seed), None)
            if first is None or start + first > onset:
                found.append(horizon if first is None else start + first - onset)
        delays[contamination] = np.array(found)
    seconds = time.perf_counter() - begun
    return Row(rival.name, false_alarms, length * episodes.count, delays, seconds, horizon)


def calibrate(rival: Rival, episodes: Episodes, events: int) -> float:
    """Search the sensitivity at which a rival raises one false alarm in ``EVENTS_PER_ALARM``."""
    assert rival.bounds is not None
    quiet, loud = map(math.log, rival.bounds)
    for _ in range(12):
        middle = (quiet + loud) / 2
        rate = _false_alarm_rate(rival.at(math.exp(middle)), episodes, events)
        quiet, loud = (quiet, middle) if rate > 1.0 / EVENTS_PER_ALARM else (middle, loud)
    return math.exp((quiet + loud) / 2)


def _false_alarm_rate(rival: Rival, episodes: Episodes, events: int) -> float:
    length = events // episodes.count
    drawn = enumerate(episodes.draw(0.0, length))
    found = sum(len(list(alarms_of_rival(rival, r, stream, seed))) for seed, (r, stream, _) in drawn)
    return found / (length * episodes.count)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="directory with probs.npz and cifar10_eval.npz")
    parser.add_argument(
        "--reference", type=int, default=4000, help="scores in the reference; ten windows of 400 by default"
    )
    parser.add_argument("--episodes", type=int, default=100, help="episodes for each share of drifted scores")
    parser.add_argument("--slow-episodes", type=int, default=10, help="the same for slow detectors")
    parser.add_argument("--clean-events", type=int, default=100_000, help="events without drift")
    parser.add_argument("--slow-clean-events", type=int, default=3_000, help="the same for slow detectors")
    parser.add_argument("--only", default="", help="measure only detectors with this in their name")
    parser.add_argument("--calibrate", action="store_true", help="print the sensitivities of the others")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    scores = CifarScores.read(arguments.data)
    fast = Episodes(scores, arguments.reference, arguments.episodes, arguments.seed)
    slow = Episodes(scores, arguments.reference, arguments.slow_episodes, arguments.seed)
    try:
        from tests.benchmarks.rival_detectors import RIVALS
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed (extra 'benchmark'), so ours are measured alone.\n")
        RIVALS = ()

    if arguments.calibrate:
        for rival in RIVALS:
            if rival.bounds is not None and arguments.only in rival.name:
                others = Episodes(scores, arguments.reference, arguments.episodes, arguments.seed + 1)
                found = calibrate(rival, others, arguments.clean_events)
                print(f"{rival.name}: {found:.4g}", flush=True)
        return
    levels = " | ".join(f"delay at {contamination:.0%}" for contamination in CONTAMINATIONS)
    print(f"| detector | false alarms per 1000 events (95 %) | {levels} | seconds |")
    print("|---" * (len(CONTAMINATIONS) + 3) + "|")
    for policy in POLICIES:
        if arguments.only in policy.name:
            print(measure_policy(policy, fast, arguments.clean_events), flush=True)
    for rival in RIVALS:
        if arguments.only in rival.name:
            clean_events = arguments.slow_clean_events if rival.slow else arguments.clean_events
            print(measure_rival(rival, slow if rival.slow else fast, clean_events), flush=True)


if __name__ == "__main__":
    main()
