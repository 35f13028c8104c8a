"""The K-S drift detector as a user in a notebook meets it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy import stats

from detectors.errors import InvalidArgumentError
from detectors.ks_drift import KSDrift


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def row_means(x: np.ndarray, batch_size: int = 1) -> np.ndarray:
    """Stands for a scoring function: one number an instance."""
    return np.asarray(x, dtype=float).reshape(len(x), -1).mean(axis=1)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_scores_equal_scipys_feature_by_feature(rng: np.random.Generator, alternative: str) -> None:
    x_ref, x = rng.normal(size=(200, 2, 3)), rng.normal(0.2, size=(50, 2, 3)).round(1)
    detector = KSDrift(x_ref, alternative=alternative)
    p_values, distances = detector.score(x)
    assert detector.n_features == 6
    for feature in range(6):
        wanted = stats.ks_2samp(
            x_ref.reshape(200, 6)[:, feature], x.reshape(50, 6)[:, feature], alternative=alternative
        )
        assert p_values[feature] == pytest.approx(wanted.pvalue, rel=1e-12)
        assert distances[feature] == pytest.approx(wanted.statistic, rel=1e-15)
    again = detector.feature_score(x_ref, x)
    np.testing.assert_array_equal(again, (p_values, distances))


def test_batch_prediction_with_bonferroni(rng: np.random.Generator) -> None:
    x_ref = rng.normal(size=(500, 4))
    detector = KSDrift(x_ref, p_val=0.05, data_type="tabular")
    clean, drifted = rng.normal(size=(100, 4)), rng.normal([0, 0, 0, 1.0], size=(100, 4))
    assert detector.predict(clean)["data"]["is_drift"] == 0
    result = detector.predict(drifted)
    assert result["data"]["is_drift"] == 1
    assert result["data"]["threshold"] == 0.0125
    assert result["data"]["p_val"].shape == result["data"]["distance"].shape == (4,)
    assert result["meta"]["name"] == "KSDrift"
    assert result["meta"]["detector_type"] == "drift"
    assert result["meta"]["data_type"] == "tabular"


def test_batch_prediction_with_fdr_returns_the_step_up_threshold(rng: np.random.Generator) -> None:
    x = rng.normal([2.0, 2.0, 0, 0], size=(100, 4))
    result = KSDrift(rng.normal(size=(500, 4)), p_val=0.04, correction="fdr").predict(x)
    assert result["data"]["is_drift"] == 1
    assert result["data"]["threshold"] == pytest.approx(0.02)


def test_feature_prediction_uses_the_plain_level(rng: np.random.Generator) -> None:
    x = rng.normal([0, 1.5, 0], size=(100, 3))
    data = KSDrift(rng.normal(size=(500, 3)), p_val=0.01).predict(x, drift_type="feature")["data"]
    np.testing.assert_array_equal(data["is_drift"], [0, 1, 0])
    assert data["threshold"] == 0.01


def test_p_values_and_distances_can_be_left_out(rng: np.random.Generator) -> None:
    data = KSDrift(rng.normal(size=50)).predict(
        rng.normal(size=20), return_p_val=False, return_distance=False
    )
    assert data["data"]["p_val"] is None
    assert data["data"]["distance"] is None
    assert data["data"]["is_drift"] in (0, 1)


def test_preprocessing_at_init_or_later_gives_the_same_scores(rng: np.random.Generator) -> None:
    x_ref, x = rng.normal(size=(100, 8, 8)), rng.normal(size=(30, 8, 8))
    score = partial(row_means, batch_size=128)
    early = KSDrift(x_ref, preprocess_fn=score)
    late = KSDrift(x_ref, preprocess_fn=score, preprocess_at_init=False)
    done = KSDrift(row_means(x_ref), preprocess_fn=score, x_ref_preprocessed=True)
    for detector in (late, done):
        np.testing.assert_array_equal(early.score(x), detector.score(x))
        assert detector.n_features == 1
    assert early.x_ref.shape == (100,)
    assert late.x_ref.shape == (100, 8, 8)
    assert early.input_shape == late.input_shape == (8, 8)
    assert done.input_shape is None


def test_instances_may_be_anything_that_the_preprocessing_takes() -> None:
    texts = ["a", "bb", "ccc", "dddd"] * 10
    lengths = lambda batch: np.array([[len(text)] for text in batch], dtype=float)  # noqa: E731
    detector = KSDrift(texts, preprocess_fn=lengths)
    assert detector.predict(["e" * 30] * 20)["data"]["is_drift"] == 1


@pytest.mark.parametrize("at_init", [True, False])
def test_last_update_keeps_the_newest_instances(rng: np.random.Generator, at_init: bool) -> None:
    x_ref, x = rng.normal(size=(40, 5)), rng.normal(9.0, size=(60, 5))
    detector = KSDrift(x_ref, preprocess_fn=row_means, preprocess_at_init=at_init, update_x_ref={"last": 60})
    assert detector.predict(x)["data"]["is_drift"] == 1
    np.testing.assert_array_equal(detector.x_ref, row_means(x) if at_init else x)
    assert detector.n == 100
    assert detector.predict(x)["data"]["p_val"][0] == 1.0


def test_reservoir_update_mixes_old_and_new(rng: np.random.Generator) -> None:
    detector = KSDrift(np.zeros(100), update_x_ref={"reservoir_sampling": 100})
    for _ in range(9):
        detector.predict(np.ones(100))
    assert detector.n == 1000
    assert detector.x_ref.shape == (100,)
    # One instance in ten is a zero; the bounds are five standard deviations wide.
    assert 0.75 < detector.x_ref.mean() < 1.0


def test_scoring_does_not_update(rng: np.random.Generator) -> None:
    detector = KSDrift(rng.normal(size=30), update_x_ref={"last": 30})
    before = detector.x_ref.copy()
    detector.score(rng.normal(size=30))
    np.testing.assert_array_equal(detector.x_ref, before)
    assert detector.n == 30


def test_the_asymptotic_method_can_be_chosen(rng: np.random.Generator) -> None:
    x_ref, x = rng.normal(size=80), rng.normal(size=30)
    p_value = KSDrift(x_ref, method="asymp").score(x)[0][0]
    assert p_value == pytest.approx(stats.ks_2samp(x_ref, x, method="asymp").pvalue, rel=1e-12)
    assert p_value != KSDrift(x_ref).score(x)[0][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"p_val": 1.5}, "p_val is 1.5"),
        ({"p_val": "0.05"}, "p_val is '0.05'"),
        ({"correction": "holm"}, "correction must be 'bonferroni' or 'fdr'"),
        ({"alternative": "bigger"}, "no alternative 'bigger'"),
        ({"method": "quick"}, "no method 'quick'"),
        ({"update_x_ref": {"first": 3}}, "update_x_ref must be"),
        ({"preprocess_fn": 3}, "preprocess_fn must be callable"),
        ({"preprocess_at_init": "yes"}, "preprocess_at_init must be True or False"),
        ({"n_features": 0}, "n_features is 0"),
        ({"n_features": 3}, "n_features is 3, but x_ref has 2"),
        ({"x_ref": np.empty((0, 2))}, "x_ref must hold at least one instance"),
        ({"x_ref": [["a", "b"]]}, "x_ref must hold numbers"),
        ({"x_ref": [[1.0, np.nan]]}, "Feature 1 of x_ref holds a NaN"),
    ],
)
def test_wrong_arguments_are_refused_at_construction(arguments: dict, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        KSDrift(**{"x_ref": np.ones((10, 2)), **arguments})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.empty((0, 2)), "x must hold at least one instance"),
        (np.ones((5, 3)), "x has 3 features an instance, but the reference has 2"),
        ([[1.0, np.nan]], "Feature 1 of x holds a NaN"),
        ([[1.0, 2.0], [3.0]], "x must be an array"),
    ],
)
def test_unusable_batches_are_refused(x: object, message: str) -> None:
    detector = KSDrift(np.ones((10, 2)))
    with pytest.raises(InvalidArgumentError, match=message):
        detector.predict(x)
    with pytest.raises(InvalidArgumentError, match="drift_type must be"):
        detector.predict(np.ones((5, 2)), drift_type="all")
