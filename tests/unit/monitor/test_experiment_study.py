"""The study's numbers, on scores whose law is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from monitor.errors import SetupError
from monitor.experiment.contamination import ContaminationRow, detected_from
from monitor.experiment.data import Condition, complete_corruptions
from monitor.experiment.measuring import Measured, Measurements
from monitor.experiment.report import select, write_numbers
from monitor.experiment.settings import StudySettings
from monitor.experiment.study import StudyResult, cell_count, choose_rows, run_study

N, M = 3000, 2000
SETTINGS = StudySettings(seed=3)


def synthetic(conditions: dict[Condition, float], seed: int = 0) -> Measurements:
    """Exponential scores: mean 1 where the classifier is right, 4 where it is wrong.

    ``conditions`` gives the share of wrong answers. One instance in ten is wrong when clean.
    """
    rng = np.random.default_rng(seed)

    def measured(wrong: float, n: int) -> Measured:
        right = rng.random(n) >= wrong
        return Measured(right, rng.exponential(np.where(right, 1.0, 4.0)))

    return Measurements(measured(0.1, N), {name: measured(wrong, M) for name, wrong in conditions.items()})


MEASUREMENTS = synthetic(
    {
        Condition("noise", 1): 0.2,
        Condition("noise", 2): 0.6,
        Condition("blur", 1): 0.02,
        Condition("fog", 2): 0.5,
    }
)


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return run_study(MEASUREMENTS, SETTINGS, ["noise"])


def test_harmful_and_harmless_are_told_by_before_and_after() -> None:
    clean = Measured(np.array([True, True, False, False, True, True]), np.arange(6.0))
    after = Measured(np.array([True, False, True, False]), np.array([10.0, 11.0, 12.0, 13.0]))
    settings = StudySettings(reference_size=2, window_size=1, repetitions=1, percentages=(0,))

    result = run_study(Measurements(clean, {Condition("noise", 1): after}), settings, [])

    assert result.samples["noise", 1, "harmless"].tolist() == [10.0]
    assert result.samples["noise", 1, "harmful"].tolist() == [11.0]
    assert sorted(result.reference) == [4.0, 5.0], "rows without corrupted versions are the reference"
    accuracy = {(row.corruption, row.severity): row.accuracy for row in result.accuracy}
    assert accuracy == {("clean", 0): 0.5, ("noise", 1): 0.5}


def test_harmful_batches_are_detected_and_harmless_ones_are_not(result: StudyResult) -> None:
    for alternative in ("two-sided", "higher"):
        harmful = select(result, "noise", 2, "harmful", alternative)
        assert detected_from(harmful, 0.05) in (20, 30, 40)
        assert [row.percentage for row in harmful] == list(range(0, 100, 10))
        harmless = select(result, "noise", 2, "harmless", alternative)
        assert detected_from(harmless, 0.05) is None
        for row in [*harmful, *harmless]:
            assert 0 <= row.mean_p <= row.max_p <= 1


def test_p_values_are_those_of_the_drawn_batches() -> None:
    """With a single repetition and a window that holds every instance there is nothing to draw."""
    from scipy import stats

    rng = np.random.default_rng(0)
    clean = Measured(np.ones(300, bool), rng.exponential(1, 300))
    wrong = Measured(np.zeros(100, bool), rng.exponential(1.3, 100))
    settings = StudySettings(reference_size=200, window_size=100, repetitions=1, percentages=(0, 100))
    result = run_study(Measurements(clean, {Condition("noise", 1): wrong}), settings, [])

    for alternative, scipys in (("two-sided", "two-sided"), ("higher", "greater")):
        nothing, everything = select(result, "noise", 1, "harmful", alternative)
        expected = [
            stats.ks_2samp(clean.scores[100:], batch, alternative=scipys).pvalue
            for batch in (clean.scores[:100], wrong.scores)
        ]
        assert [nothing.mean_p, everything.mean_p] == pytest.approx(expected, abs=1e-12)
        assert nothing.max_p == nothing.mean_p
        assert everything.flagged == float(expected[1] < 0.05)


def test_shares_that_would_need_an_instance_twice_are_left_out(result: StudyResult) -> None:
    rows = select(result, "blur", 1, "harmful", "two-sided")
    available = rows[0].available
    assert available == len(result.samples["blur", 1, "harmful"]) < 50
    assert [row.percentage for row in rows] == list(range(0, available + 1, 10))


def test_the_pool_is_the_sum_of_its_corruptions() -> None:
    result = run_study(MEASUREMENTS, SETTINGS, ["noise", "fog"])
    pooled = result.samples["pooled", 2, "harmful"]
    parts = [result.samples[name, 2, "harmful"] for name in ("noise", "fog")]
    np.testing.assert_array_equal(pooled, np.concatenate(parts))
    assert result.groups == ["pooled", "noise", "blur", "fog"]


def test_the_seed_decides_and_other_corruptions_do_not(result: StudyResult) -> None:
    again = run_study(MEASUREMENTS, SETTINGS, ["noise"])
    assert again.contamination == result.contamination
    assert again.scores == result.scores

    only = {Condition("noise", 2): MEASUREMENTS.corrupted[Condition("noise", 2)]}
    alone = run_study(Measurements(MEASUREMENTS.clean, only), SETTINGS, [])
    assert alone.contamination == [
        row for row in result.contamination if (row.corruption, row.severity) == ("noise", 2)
    ]

    other = run_study(MEASUREMENTS, StudySettings(seed=4), ["noise"])
    assert other.contamination != result.contamination


def test_steps_are_counted_beforehand() -> None:
    steps: list[int] = []
    run_study(MEASUREMENTS, SETTINGS, ["noise"], steps.append)
    assert steps == list(range(1, cell_count(list(MEASUREMENTS.corrupted), ["noise"]) + 1))


def test_reference_and_study_share_no_row() -> None:
    reference, studied = choose_rows(3000, 3000, SETTINGS)
    assert len(reference) == 1000
    assert not set(reference) & set(studied)
    assert len(studied) == 2000

    reference, studied = choose_rows(600, 600, SETTINGS)
    assert (len(reference), len(studied)) == (300, 300)

    reference, studied = choose_rows(5000, 3000, SETTINGS)
    assert reference.min() >= 3000
    assert studied.tolist() == list(range(3000))


def test_too_few_instances_are_refused() -> None:
    with pytest.raises(
        SetupError, match=r"Of 150 clean instances, .* leaves 75 for the study; it needs .* 100"
    ):
        choose_rows(150, 150, SETTINGS)


def test_complete_corruptions() -> None:
    assert complete_corruptions(list(MEASUREMENTS.corrupted)) == ["noise"]


def test_detected_from_wants_all_larger_shares_below() -> None:
    def rows(*means: float) -> list[ContaminationRow]:
        return [
            ContaminationRow("noise", 1, "harmful", "higher", 10 * number, 99, mean, mean, 0.0)
            for number, mean in enumerate(means)
        ]

    assert detected_from(rows(0.5, 0.04, 0.06, 0.04, 0.01), 0.05) == 30
    assert detected_from(rows(0.5, 0.5), 0.05) is None
    assert detected_from(rows(0.01, 0.01), 0.05) == 0


def test_numbers_are_written(result: StudyResult, tmp_path: Path) -> None:
    paths = write_numbers(result, {"data": {"clean": "a.npz"}}, tmp_path / "new")

    assert [path.name for path in paths] == ["accuracy.csv", "scores.csv", "contamination.csv", "study.json"]
    with (tmp_path / "new" / "contamination.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result.contamination)
    assert rows[5]["corruption"] == "pooled"
    assert float(rows[5]["mean_p"]) == pytest.approx(result.contamination[5].mean_p, rel=1e-5)
    document = json.loads((tmp_path / "new" / "study.json").read_text())
    assert document["settings"]["seed"] == 3
    assert document["reference"]["size"] == 1000
    assert document["data"] == {"clean": "a.npz"}
    assert len(document["contamination"]) == len(rows)


def test_a_kind_that_does_not_occur_is_written_as_null(tmp_path: Path) -> None:
    clean = Measured(np.ones(400, bool), np.random.default_rng(0).exponential(1, 400))
    result = run_study(Measurements(clean, {Condition("tint", 1): clean}), SETTINGS, ["tint"])

    write_numbers(result, {}, tmp_path)

    scores = json.loads((tmp_path / "study.json").read_text())["scores"]
    (harmful,) = (row for row in scores if (row["corruption"], row["kind"]) == ("tint", "harmful"))
    assert (harmful["n"], harmful["mean"]) == (0, None)
