"""What the dashboard works out of verdicts and scores, against independent numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from monitor.alerts.policy import AlertKind, AlertPolicy, AlertState, DriftState, step
from monitor.alerts.replay import Moment, replay
from monitor.dashboard.critical import MOST_CELLS, critical_distance, critical_distances
from monitor.dashboard.distributions import CURVE_POINTS, MOST_BINS, compare
from monitor.dashboard.throughput import present_rate, rates
from monitor.verdicts.verdict import Verdict

SCIPY_NAMES = {"higher": "greater", "lower": "less", "two-sided": "two-sided"}


def verdict(sequence: int, drift: bool = False, tested_ms: int | None = None, **parts: object) -> Verdict:
    known = {
        "size": 20,
        "start_ms": 0,
        "end_ms": 0,
        "offsets": {},
        "statistic": 0.1,
        "p_value": 0.5,
        "threshold": 0.01,
        "reference": "sha256:a",
        "mean": 0.1,
        "max": 1.0,
        "flagged_fraction": None,
    }
    tested_ms = 1000 * sequence if tested_ms is None else tested_ms
    return Verdict(sequence=sequence, drift=drift, tested_ms=tested_ms, **(known | parts))  # type: ignore[arg-type]


class TestComparison:
    @pytest.mark.parametrize("alternative", ["higher", "lower", "two-sided"])
    @pytest.mark.parametrize("ties", [False, True])
    def test_distance_is_that_of_the_test(self, alternative, ties):
        rng = np.random.default_rng(3)
        for shift in (-0.3, 0.0, 0.3):
            reference = rng.exponential(1, 400).astype(np.float32)
            window = (rng.exponential(1, 60) + shift).astype(np.float32)
            if ties:
                reference, window = reference.round(1), window.round(1)
            expected = ks_2samp(reference, window, alternative=SCIPY_NAMES[alternative])

            found = compare(window, np.sort(reference), alternative)

            assert found.distance == pytest.approx(expected.statistic, abs=1e-12)
            assert abs(found.reference_at - found.window_at) == pytest.approx(expected.statistic, abs=1e-12)

    def test_curves_are_the_distribution_functions(self):
        rng = np.random.default_rng(4)
        reference = np.sort(rng.normal(0, 1, 5000)).astype(np.float32)
        window = rng.normal(0.5, 1, 3000).astype(np.float32)

        found = compare(window, reference, "higher")

        assert found.scale == "linear"
        assert len(found.x) <= CURVE_POINTS + 1
        assert (np.diff(found.x) > 0).all()
        for x, ours, theirs in zip(found.x, found.window_ecdf, found.reference_ecdf, strict=True):
            assert ours == pytest.approx(np.mean(window <= x))
            assert theirs == pytest.approx(np.mean(reference <= x))
        assert found.at in found.x
        assert (found.window_ecdf[-1], found.reference_ecdf[-1]) == (1, 1)

    def test_every_score_is_in_the_histogram(self):
        rng = np.random.default_rng(5)
        reference = np.sort(rng.lognormal(-3, 2, 1000)).astype(np.float32)
        window = np.append(rng.lognormal(0, 1, 98), [0.0, 1e4]).astype(np.float32)

        found = compare(window, reference, "higher")

        assert found.scale == "log"
        assert found.window_shares.sum() == pytest.approx(1)
        assert found.reference_shares.sum() == pytest.approx(1)
        assert np.allclose(np.diff(np.log(found.edges)), np.log(found.edges[1] / found.edges[0]))
        inner = slice(1, -1)
        expected = np.histogram(window, found.edges)[0] / len(window)
        assert found.window_shares[inner] == pytest.approx(expected[inner])

    @pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
    def test_scores_that_are_all_the_same(self, value):
        found = compare(np.full(5, value, np.float32), np.full(9, value, np.float32), "two-sided")

        assert found.distance == 0
        assert found.window_shares.sum() == 1
        assert found.edges[0] < found.edges[-1]

    def test_a_large_window_is_sent_as_little(self):
        rng = np.random.default_rng(6)
        found = compare(
            rng.normal(size=100_000).astype(np.float32),
            np.sort(rng.normal(size=1000)).astype(np.float32),
            "higher",
        )

        assert len(found.x) <= CURVE_POINTS + 1
        assert len(found.window_shares) == MOST_BINS


class TestCriticalDistance:
    @pytest.mark.parametrize(("n", "m"), [(200, 20), (400, 50), (97, 31)])
    @pytest.mark.parametrize("alternative", ["higher", "two-sided"])
    def test_divides_clean_from_drifted(self, n, m, alternative):
        threshold = 0.01
        critical = critical_distance(threshold, n, m, alternative == "two-sided")
        rng = np.random.default_rng(7)
        sides = set()
        for shift in np.linspace(0, 1.5, 60):
            found = ks_2samp(
                rng.normal(size=n),
                rng.normal(size=m) + shift,
                alternative=SCIPY_NAMES[alternative],
                method="exact",
            )
            sides.add(found.pvalue < threshold)
            assert (found.pvalue < threshold) == (found.statistic >= critical - 1e-12)
        assert sides == {False, True}

    def test_large_samples_take_the_asymptotic_law(self):
        n, m = 100_000, 5000
        assert n * m > MOST_CELLS
        expected = np.sqrt(-np.log(0.01) / 2 * (n + m) / (n * m))
        assert critical_distance(0.01, n, m, False) == pytest.approx(expected, rel=0.02)

    def test_threshold_that_no_window_can_reach(self):
        assert critical_distance(1e-30, 20, 3, False) is None

    def test_each_verdict_has_that_of_its_own_reference_and_size(self):
        verdicts = [verdict(1), verdict(2, size=10), verdict(3, reference="sha256:gone")]

        found = critical_distances(verdicts, {"sha256:a": 200}, "higher")

        assert found == [
            critical_distance(0.01, 200, 20, False),
            critical_distance(0.01, 200, 10, False),
            None,
        ]


class TestThroughput:
    def test_windows_tested_together_count_together(self):
        verdicts = [
            verdict(1, tested_ms=0),
            verdict(2, tested_ms=2000),
            verdict(3, tested_ms=2000),
            verdict(4, tested_ms=6000),
        ]

        assert rates(verdicts, hop=20) == [None, 20, 20, 5]
        assert present_rate(verdicts, hop=20) == 10

    def test_scores_shared_by_windows_count_once(self):
        assert rates([verdict(1), verdict(2)], hop=5) == [None, 5]

    @pytest.mark.parametrize("verdicts", [[], [verdict(1)], [verdict(1), verdict(2, tested_ms=1000)]])
    def test_too_little_to_tell(self, verdicts):
        assert present_rate(verdicts, hop=20) is None


class TestReplay:
    POLICY = AlertPolicy(raise_after=2, raise_within=3, resolve_after=2, remind_after_ms=3000)

    def history(
        self, marks: str, policy: AlertPolicy = POLICY
    ) -> tuple[list[Verdict], list[Moment], AlertState]:
        state, verdicts, moments = AlertState(), [], []
        for i, mark in enumerate(marks, start=1):
            verdicts.append(verdict(i, drift=mark == "x"))
            state, alert = step(policy, state, mark == "x", verdicts[-1].tested_ms)
            moments.append(Moment(state.state, alert))
        return verdicts, moments, state

    @pytest.mark.parametrize(
        "marks", ["", ".", "x", "xx", ".x.x....", "xxxxxxxxx", "..xx..xx..x.", "xx.x.x.xx...x"]
    )
    def test_whole_history(self, marks):
        verdicts, moments, stored = self.history(marks)

        assert replay(self.POLICY, verdicts, stored) == moments

    @pytest.mark.parametrize("dropped", range(1, 14))
    def test_history_whose_beginning_was_dropped(self, dropped):
        verdicts, moments, stored = self.history("..xxxxxx......xx...xx..")

        found = replay(self.POLICY, verdicts[dropped:], stored)

        assert [moment.state for moment in found[5:]] == [moment.state for moment in moments[dropped + 5 :]]
        alerts = [m.alert for m in moments[dropped + 5 :]]
        reminders = {AlertKind.ONGOING, None}
        assert [a for a in (m.alert for m in found[5:]) if a not in reminders] == [
            a for a in alerts if a not in reminders
        ]

    def test_policy_that_was_changed_on_the_way(self):
        verdicts, _, stored = self.history("..x....")

        found = replay(AlertPolicy(raise_after=1, resolve_after=9), verdicts, stored)

        assert found[-1].state is stored.state is DriftState.NORMAL
        assert found[2] == Moment(DriftState.DRIFT, AlertKind.DETECTED)
