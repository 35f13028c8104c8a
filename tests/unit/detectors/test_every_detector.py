"""One set of checks that every detector passes, and the inputs on which others go wrong."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import detectors
from detectors import (
    KSDrift,
    ModelDistillation,
    OnlineFdr,
    TieBreaker,
    expected_run_time_threshold,
    window_test,
)
from detectors.errors import DetectorError
from detectors.window_tests import WINDOW_TESTS

Values = Sequence[float] | npt.NDArray[Any]


@dataclass(frozen=True)
class Outcome:
    """What a detector says of a sample: the numbers behind its decision, and the decision."""

    numbers: npt.NDArray[np.float64]
    drift: bool


Examine = Callable[[Values, Values], Outcome]
"""Compares a sample with a reference, by the detector's Python interface; both of shape (n,)."""


def by_window_test(name: str) -> Examine:
    def examine(reference: Values, sample: Values) -> Outcome:
        result = window_test(name, reference).test([sample])
        return Outcome(np.concatenate([result.statistic, result.p_value]), bool(result.p_value[0] < 0.01))

    return examine


def by_ks_drift(reference: Values, sample: Values) -> Outcome:
    data = KSDrift(reference, p_val=0.01).predict(sample)["data"]
    return Outcome(np.concatenate([data["distance"], data["p_val"]]), bool(data["is_drift"]))


def by_distillation(loss_type: str) -> Examine:
    """A teacher that is the surer of its first class the larger the value; a student that never knows."""
    import tensorflow as tf

    def linear(slope: float) -> Any:
        model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(2, activation="softmax")])
        model.set_weights([np.array([[slope, 0.0]]), np.zeros(2)])
        return model

    teacher, student = linear(3.0), linear(0.0)
    # The cross-entropy to an undecided student is the same whatever the teacher says.
    unsure = student if loss_type == "kld" else linear(-0.5)

    def examine(reference: Values, sample: Values) -> Outcome:
        detector = ModelDistillation(distilled_model=unsure, model=teacher, loss_type=loss_type)
        detector.infer_threshold(_column(reference), threshold_perc=100)
        data = detector.predict(_column(sample), batch_size=5000)["data"]
        return Outcome(data["instance_score"].astype(np.float64), bool(data["is_adversarial"].mean() > 0.3))

    return examine


def by_online_fdr(reference: Values, sample: Values) -> Outcome:
    """P-value of each value among the reference, and whether the procedure discovers any."""
    among = np.sort(np.asarray(reference, dtype=np.float64))
    larger = len(among) - np.searchsorted(among, sample, side="left")
    p_values = np.where(np.isnan(sample), np.nan, (1 + larger) / (1 + len(among)))
    procedure = OnlineFdr(0.05)
    state, thresholds = procedure.start(), []
    for p_value in p_values.tolist():
        state, threshold = procedure.step(state, p_value)
        thresholds.append(threshold)
    return Outcome(np.array(thresholds), state.discoveries > 0)


def _column(values: Values) -> Any:
    return np.asarray(values)[:, None]


MAKERS: dict[str, Callable[[], Examine]] = {
    **{name: lambda name=name: by_window_test(name) for name in WINDOW_TESTS},
    "KSDrift": lambda: by_ks_drift,
    "ModelDistillation kld": lambda: by_distillation("kld"),
    "ModelDistillation xent": lambda: by_distillation("xent"),
    "OnlineFdr": lambda: by_online_fdr,
}
WITHOUT_REFERENCE = {"OnlineFdr"}
NEED_TWO = {"cramervonmises_2samp", "anderson_ksamp"}
"""Tests that are not defined on one score."""


@pytest.fixture(scope="module", params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def examine(name: str) -> Examine:
    return MAKERS[name]()


@contextmanager
def refused(fault: str) -> Iterator[None]:
    """Expect an error that says in a sentence what was wrong."""
    with pytest.raises(DetectorError, match=fault) as caught:
        yield
    assert re.fullmatch(r"(?s)\S+ .{15,}\.", str(caught.value))


class TestEveryDetector:
    """Checks that no detector is exempt from."""

    def test_finds_drift_and_leaves_clean_samples_alone(self, examine: Examine) -> None:
        rng = np.random.default_rng(1)
        reference, sample = rng.random(1000), rng.random(100)
        assert not examine(reference, sample).drift
        assert examine(reference, sample + 1.0).drift

    def test_constant_scores_are_no_drift(self, examine: Examine) -> None:
        outcome = examine(np.full(60, 0.5), np.full(40, 0.5))
        assert np.isfinite(outcome.numbers).all()
        assert not outcome.drift

    def test_two_distinct_values(self, examine: Examine) -> None:
        reference = np.where(np.random.default_rng(2).random(400) < 0.9, 0.0, 0.1)
        same, other = examine(reference, reference[:100]), examine(reference, np.full(100, 1.0))
        assert np.isfinite([*same.numbers, *other.numbers]).all()
        assert (same.drift, other.drift) == (False, True)

    @pytest.mark.parametrize("place", [0, 25, 49])
    def test_one_nan_among_the_scores_is_refused(self, examine: Examine, place: int) -> None:
        sample = np.linspace(0, 1, 50)
        sample[place] = np.nan
        with refused("NaN|nan|must be finite"):
            examine(np.linspace(0, 1, 100), sample)

    def test_one_nan_in_the_reference_is_refused(self, examine: Examine, name: str) -> None:
        if name in WITHOUT_REFERENCE:
            return
        with refused("NaN|must be finite"):
            examine([0.1, np.nan, 0.3], [0.1, 0.2, 0.3])

    def test_one_observation(self, examine: Examine, name: str) -> None:
        if name in NEED_TWO:
            with refused("at least 2 scores in the window, not 1"):
                examine(np.linspace(0, 1, 100), [0.5])
            return
        outcome = examine(np.linspace(0, 1, 100), [0.5])
        assert np.isfinite(outcome.numbers).all()
        assert not outcome.drift

    def test_a_reference_of_one_observation(self, examine: Examine, name: str) -> None:
        if name in NEED_TWO:
            with refused("at least 2 scores in the reference, not 1"):
                examine([0.5], np.linspace(0, 1, 100))
            return
        assert np.isfinite(examine([0.5], np.linspace(0, 1, 100)).numbers).all()

    def test_a_reference_smaller_than_the_window(self, examine: Examine) -> None:
        rng = np.random.default_rng(5)
        reference = rng.random(300)
        clean, drifted = examine(reference, rng.random(500)), examine(reference, np.full(500, 2.0))
        assert np.isfinite([*clean.numbers, *drifted.numbers]).all()
        assert (clean.drift, drifted.drift) == (False, True)

    def test_a_huge_window(self, examine: Examine, name: str) -> None:
        rng = np.random.default_rng(4)
        # The law of the CUSUM is simulated, which takes the longer the larger the window.
        size = 3_000 if name == "rank_cusum" else 12_000
        outcome = examine(rng.random(1000), rng.random(size) + 1.0)
        assert np.isfinite(outcome.numbers).all()
        assert outcome.drift

    def test_an_empty_sample(self, examine: Examine, name: str) -> None:
        if name in WITHOUT_REFERENCE:
            assert not examine([0.1, 0.2], []).drift
            return
        with refused("shape|empty|at least one"):
            examine([0.1, 0.2], [])

    def test_an_empty_reference(self, examine: Examine, name: str) -> None:
        if name in WITHOUT_REFERENCE:
            return
        with refused("shape|empty|at least one"):
            examine([], [0.1, 0.2])

    def test_integers_and_half_precision_are_numbers_too(self, examine: Examine) -> None:
        outcomes = [
            examine(np.arange(2, dtype=kind).repeat(30), np.arange(2, dtype=kind).repeat(20))
            for kind in (np.float64, np.float32, np.float16, np.int64, np.uint8)
        ]
        for outcome in outcomes[1:]:
            np.testing.assert_allclose(outcome.numbers, outcomes[0].numbers, rtol=1e-6)

    def test_what_is_given_is_left_as_it_was_and_gives_the_same_again(self, examine: Examine) -> None:
        rng = np.random.default_rng(5)
        reference, sample = rng.random(200), rng.random(50)
        kept = reference.copy(), sample.copy()
        first, again = examine(reference, sample), examine(reference, sample)
        np.testing.assert_array_equal(first.numbers, again.numbers)
        np.testing.assert_array_equal(reference, kept[0])
        np.testing.assert_array_equal(sample, kept[1])


class TestNumbersOnWhichOthersFail:
    """Silent wrong answers of other libraries that are right, or an error, here."""

    def test_two_against_two_that_do_not_overlap_have_the_exact_p_value(self) -> None:
        data = KSDrift([1.0, 2.0]).predict([3.0, 4.0])["data"]
        result = window_test("ks_2samp", [1.0, 2.0]).test([[3.0, 4.0]])
        assert data["distance"][0] == result.statistic[0] == 1.0
        assert data["p_val"][0] == result.p_value[0] == pytest.approx(1 / 3, rel=1e-15)

    def test_a_p_value_that_is_nan_is_no_silent_acceptance(self) -> None:
        with refused("p_value is nan"):
            OnlineFdr(0.05).step(OnlineFdr(0.05).start(), float("nan"))

    def test_a_nan_keeps_its_place_when_ties_are_broken(self) -> None:
        untied = TieBreaker([0.0, 0.0, 1.0]).windows([[0.0, np.nan]], [[0.5, 0.5]])
        with refused("holds a NaN"):
            window_test("ks_2samp", [0.5, 1.5]).test(untied)

    @pytest.mark.parametrize("temperature", [1e-6, 1e-3, 0.01, 0.1])
    @pytest.mark.parametrize("loss_type", ["kld", "xent"])
    def test_tiny_temperatures_do_not_underflow(
        self, classifier: Any, loss_type: Any, temperature: float
    ) -> None:
        """Of a thousand nearly equal classes, whose powers all underflow, the largest is all that is left."""
        student = classifier(4, 1000)
        detector = ModelDistillation(distilled_model=student, loss_type=loss_type, temperature=temperature)
        y = np.full((1, 1000), 1e-3)
        y[0, 7] += 0.1
        X = np.ones((1, 4), np.float32)
        score = detector.score(X, predictions=y / y.sum())[0]
        p = np.asarray(student(X), np.float64)[0, 7]
        assert score == pytest.approx(-np.log(p), rel=1e-3)

    def test_logits_are_not_taken_for_probabilities(self, classifier: Any) -> None:
        detector = ModelDistillation(distilled_model=classifier(), model=classifier(activation=None))
        with refused("not a probability distribution.*model_from_logits=True"):
            detector.score(np.random.default_rng(6).normal(size=(5, 4)))

    def test_one_sigmoid_unit_is_refused(self, classifier: Any) -> None:
        with refused(r"ends in one unit.*\[1 - p, p\]"):
            ModelDistillation(distilled_model=classifier(classes=1, activation="sigmoid"))

    def test_different_numbers_of_classes_are_refused(self, classifier: Any) -> None:
        with refused("3 classes.*5"):
            ModelDistillation(distilled_model=classifier(classes=3), model=classifier(classes=5))

    def test_one_nan_in_an_instance_or_a_prediction_is_refused(self, classifier: Any) -> None:
        detector = ModelDistillation(distilled_model=classifier(), threshold=1.0)
        X, y = np.zeros((9, 4)), np.full((9, 3), 1 / 3)
        X[4, 2] = y[5, 1] = np.nan
        with refused("must be finite"):
            detector.predict(X, predictions=np.full((9, 3), 1 / 3))
        with refused("Row 5 of predictions .* NaN"):
            detector.predict(np.zeros((9, 4)), predictions=y)


PUBLIC = [
    ModelDistillation,
    KSDrift,
    *WINDOW_TESTS.values(),
    OnlineFdr,
    TieBreaker,
    expected_run_time_threshold,
]


@pytest.mark.parametrize("documented", PUBLIC, ids=lambda documented: documented.__name__)
def test_docstrings_have_the_formula_and_its_source(documented: Any) -> None:
    sections = re.split(r"\n([A-Z][a-z]+)\n-+\n", inspect.getdoc(documented) or "")
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    assert "``" in named["Notes"]
    assert re.search(r"[=<+]|number of pairs", named["Notes"])
    assert re.search(r"\b(19|20)\d\d\b", named["References"])


def test_every_name_of_the_package_leads_to_what_it_says() -> None:
    for name in detectors.__all__:
        assert getattr(detectors, name).__name__ == name
    assert not hasattr(detectors, "KolmogorovTest")
