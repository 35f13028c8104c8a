"""Everything wrong that a user can hand to ModelDistillation gets one clear sentence."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from detectors import ModelDistillation
from detectors.errors import InvalidArgumentError, NotReadyError


@pytest.fixture
def detector(classifier):
    return ModelDistillation(threshold=1.0, distilled_model=classifier(), model=classifier())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distilled_model": None}, "distilled_model is missing"),
        ({"distilled_model": "student.keras"}, "distilled_model is of type str; it must be a tf.keras.Model"),
        ({"model": lambda x: x}, "model is of type function; it must be a tf.keras.Model"),
        ({"loss_type": "mse"}, "loss_type is 'mse'; it must be one of kld, xent"),
        ({"temperature": 0}, "temperature is 0; it must be a number from"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": "1"}, "temperature is '1'"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"threshold": "high"}, "threshold is 'high'; it must be a finite number"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"data_type": 3}, "data_type is 3; it must be text or None"),
        ({"distilled_from_logits": "yes"}, "from_logits is 'yes'; it must be True or False"),
    ],
)
def test_arguments_are_checked_at_construction(classifier, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        ModelDistillation(**{"distilled_model": classifier(), "model": classifier(), **arguments})


def test_class_counts_must_match(classifier):
    with pytest.raises(InvalidArgumentError, match="distilled_model has 3 classes and model has 5"):
        ModelDistillation(distilled_model=classifier(classes=3), model=classifier(classes=5))


def test_input_shapes_must_match(classifier):
    with pytest.raises(InvalidArgumentError, match=r"instances of shape \(4,\) and model of \(5,\)"):
        ModelDistillation(distilled_model=classifier(4), model=classifier(5))


@pytest.mark.parametrize("role", ["distilled_model", "model"])
def test_one_sigmoid_unit_is_no_distribution(classifier, role):
    models = {"distilled_model": classifier(), "model": classifier()}
    models[role] = classifier(classes=1, activation="sigmoid")
    with pytest.raises(InvalidArgumentError, match=rf"{role} ends in one unit.*\[1 - p, p\]"):
        ModelDistillation(**models)


def test_model_without_known_shape():
    with pytest.raises(InvalidArgumentError, match=r"distilled_model has no known input shape; begin"):
        ModelDistillation(distilled_model=tf.keras.Sequential([tf.keras.layers.Dense(2)]))


def test_model_with_two_inputs():
    inputs = [tf.keras.Input((2,)), tf.keras.Input((2,))]
    model = tf.keras.Model(inputs, tf.keras.layers.Add()(inputs))
    with pytest.raises(InvalidArgumentError, match="distilled_model has 2 inputs; it must have one"):
        ModelDistillation(distilled_model=model)


def test_model_of_images_to_images():
    model = tf.keras.Sequential([tf.keras.Input((4, 4, 1)), tf.keras.layers.Conv2D(2, 1)])
    with pytest.raises(InvalidArgumentError, match=r"output shape \(None, 4, 4, 2\); it must be \(None, k\)"):
        ModelDistillation(distilled_model=model)


def test_flags_need_a_threshold(classifier):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    with pytest.raises(NotReadyError, match="no threshold; call infer_threshold"):
        detector.predict(np.zeros((2, 4)))


def test_scores_need_a_model_or_predictions(classifier):
    detector = ModelDistillation(distilled_model=classifier())
    for score in (detector.score, detector.score_instances):
        with pytest.raises(NotReadyError, match="give model= at construction, or predictions="):
            score(np.zeros((2, 4), np.float32))
    with pytest.raises(NotReadyError, match="no model to imitate"):
        detector.fit(np.zeros((2, 4)), verbose=False)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.empty((0, 4)), "X is empty"),
        ([], r"X has shape \(0,\); it must be \(n, 4\)"),
        ([[1.0, 2.0, 3.0, 4.0], [1.0]], "X cannot be read as one array"),
        ([["a", "b", "c", "d"]], "X has dtype <U1; it must hold real numbers"),
        ([[None] * 4], "X has dtype object"),
        (np.zeros((3, 5)), r"X has shape \(3, 5\); it must be \(n, 4\)"),
        (np.zeros(4), "For a single instance add the batch axis"),
        ("text", "X has dtype <U4"),
    ],
)
@pytest.mark.parametrize("method", ["score", "predict", "infer_threshold", "fit"])
def test_wrong_instances(detector, method, X, message):
    options = {"verbose": False} if method == "fit" else {}
    with pytest.raises(InvalidArgumentError, match=message):
        getattr(detector, method)(X, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_not_finite_are_located(detector, bad):
    X = np.zeros((200, 4))
    X[150, 2] = bad
    with pytest.raises(InvalidArgumentError, match="row 150; every number must be finite"):
        detector.score(X)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (np.full((3, 3), 1 / 3), r"predictions has shape \(3, 3\); it must be \(2, 3\)"),
        (np.full((2, 2), 1 / 2), r"predictions has shape \(2, 2\)"),
        (
            [[0.2, 0.3, 0.5], [2.0, -1.0, 0.0]],
            "Row 1 of predictions .* negative entry, -1; logits must go through",
        ),
        ([[0.2, 0.3, 0.5], [0.5, 0.5, 0.5]], "Row 1 of predictions .* it sums to 1.5"),
        ([[0.2, np.nan, 0.5], [0.5, 0.5, 0.0]], "Row 0 of predictions .* holds NaN"),
        ([["a"] * 3] * 2, "predictions has dtype"),
    ],
)
def test_wrong_predictions(detector, predictions, message):
    with pytest.raises(InvalidArgumentError, match=message):
        detector.score(np.zeros((2, 4)), predictions=predictions)


def test_predictions_of_half_precision_are_accepted(detector):
    y = np.array([[0.2, 0.3, 0.5]] * 2, dtype=np.float16)
    assert detector.score(np.zeros((2, 4)), predictions=y).shape == (2,)


@pytest.mark.parametrize("method", ["score", "fit"])
@pytest.mark.parametrize(
    ("role", "option"), [("model", "model_from_logits"), ("distilled_model", "distilled_from_logits")]
)
def test_logits_are_not_taken_for_probabilities(classifier, rng, role, option, method):
    models = {"distilled_model": classifier(), "model": classifier(), role: classifier(activation=None)}
    detector = ModelDistillation(**models)
    options = {"verbose": False} if method == "fit" else {}
    with pytest.raises(
        InvalidArgumentError, match=f"output of {role} is not a probability.* pass {option}=True"
    ):
        getattr(detector, method)(rng.normal(size=(5, 4)), **options)


def test_model_that_gives_nan_is_named(classifier):
    broken = classifier()
    broken.set_weights([weight * np.nan for weight in broken.get_weights()])
    with pytest.raises(InvalidArgumentError, match=r"output of model is not a probability .* holds NaN"):
        ModelDistillation(distilled_model=classifier(), model=broken).score(np.zeros((1, 4)))


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "8", None])
def test_wrong_batch_sizes(detector, batch_size):
    with pytest.raises(
        InvalidArgumentError, match=r"batch_size is .*; it must be a whole number of at least 1"
    ):
        detector.score(np.zeros((2, 4)), batch_size=batch_size)


@pytest.mark.parametrize("perc", [-1, 101, "99", float("nan")])
def test_wrong_percentages(detector, perc):
    with pytest.raises(
        InvalidArgumentError, match=r"threshold_perc is .*; it must be a number from 0 to 100"
    ):
        detector.infer_threshold(np.zeros((2, 4)), threshold_perc=perc)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (
            np.zeros((2, 5), np.float32),
            np.full((2, 3), 1 / 3, np.float32),
            r"instances is float32 of shape \(2, 5\)",
        ),
        (np.zeros((2, 4)), np.full((2, 3), 1 / 3, np.float32), "instances is float64"),
        (
            np.zeros((2, 4), np.float32),
            np.full((1, 3), 1 / 3, np.float32),
            r"it must be float32 of shape \(2, 3\)",
        ),
        (np.zeros((2, 4), np.float32), np.full((2, 3), 1 / 3), "predictions is float64"),
    ],
)
def test_stream_batches_of_a_wrong_shape(detector, X, y, message):
    with pytest.raises(InvalidArgumentError, match=message):
        detector.score_predictions(X, y)
