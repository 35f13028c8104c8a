"""Scores, thresholds and flags of ModelDistillation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf

from detectors import ModelDistillation
from detectors.losses import distillation_loss, kld


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def hard_cases(rng, k=4):
    """Pairs of distributions: random, sharp, nearly equal, one-hot, uniform."""
    y, p = (softmax(rng.normal(size=(200, k)) * scale) for scale in (3.0, 8.0))
    near = softmax(rng.normal(size=(50, k)))
    hot, uniform = np.eye(k), np.full((k, k), 1 / k)
    y = np.concatenate([y, near, hot, hot, uniform, hot, np.roll(hot, 1, axis=0)])
    p = np.concatenate([p, near * (1 + 1e-6), hot, uniform, hot, softmax(rng.normal(size=(k, k))), hot])
    return y.astype(np.float32), p.astype(np.float32)


@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("loss_type", ["kld", "xent"])
def test_compiled_scores_equal_the_definition(echo, rng, loss_type, temperature):
    y, p = hard_cases(rng)
    detector = ModelDistillation(distilled_model=echo(4), loss_type=loss_type, temperature=temperature)
    expected = distillation_loss(y, p, loss_type, temperature)
    for scores in (detector.score(p, predictions=y), detector.score_predictions(p, y)):
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("loss_type", "keras_loss"), [("kld", "kld"), ("xent", "categorical_crossentropy")])
def test_compiled_scores_equal_keras_where_keras_is_exact(echo, rng, loss_type, keras_loss):
    y, p = hard_cases(rng)
    detector = ModelDistillation(distilled_model=echo(4), loss_type=loss_type)
    expected = getattr(tf.keras.losses, keras_loss)(tf.constant(y), tf.constant(p)).numpy()
    np.testing.assert_allclose(detector.score(p, predictions=y), expected, rtol=1e-4, atol=2e-6)


def test_thousand_classes_keep_the_precision(echo, rng):
    y, p = (softmax(rng.normal(size=(20, 1000)) * 2).astype(np.float32) for _ in range(2))
    scores = ModelDistillation(distilled_model=echo(1000), temperature=2.0).score(p, predictions=y)
    np.testing.assert_allclose(scores, distillation_loss(y, p, "kld", 2.0), rtol=1e-5, atol=1e-6)


def test_teacher_is_run_when_predictions_are_not_given(classifier, rng):
    teacher, student = classifier(), classifier()
    X = rng.normal(size=(50, 4)).astype(np.float32)
    detector = ModelDistillation(distilled_model=student, model=teacher, temperature=2.0)
    y = teacher.predict(X, verbose=0)
    expected = distillation_loss(y, student.predict(X, verbose=0), "kld", 2.0)
    np.testing.assert_allclose(detector.score(X), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(detector.score_instances(X), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(detector.score(X, predictions=y), expected, rtol=1e-5, atol=1e-6)


def test_known_predictions_are_used_instead_of_the_teacher(classifier, rng):
    X = rng.normal(size=(20, 4)).astype(np.float32)
    student = classifier()
    other = softmax(rng.normal(size=(20, 3))).astype(np.float32)
    detector = ModelDistillation(threshold=0.0, distilled_model=student, model=classifier())
    expected = kld(other, student.predict(X, verbose=0))
    np.testing.assert_allclose(detector.score(X, predictions=other), expected, rtol=1e-5, atol=1e-6)
    scored = detector.predict(X, predictions=other)["data"]["instance_score"]
    np.testing.assert_allclose(scored, expected, rtol=1e-5, atol=1e-6)
    threshold = detector.infer_threshold(X, 50, predictions=other)
    assert threshold == pytest.approx(np.median(expected), rel=1e-5)


@pytest.mark.parametrize("who", ["model", "distilled"])
def test_logits_are_put_through_a_softmax(classifier, rng, who):
    logits = classifier(activation=None)
    probabilities = tf.keras.Sequential([logits, tf.keras.layers.Softmax()])
    other = classifier()
    X = rng.normal(size=(30, 4))
    if who == "model":
        given = ModelDistillation(distilled_model=other, model=logits, model_from_logits=True)
        wanted = ModelDistillation(distilled_model=other, model=probabilities)
    else:
        given = ModelDistillation(distilled_model=logits, model=other, distilled_from_logits=True)
        wanted = ModelDistillation(distilled_model=probabilities, model=other)
    np.testing.assert_allclose(given.score(X), wanted.score(X), rtol=1e-5, atol=1e-6)


def test_predictions_are_returned_with_the_scores(classifier, rng):
    teacher, student = classifier(), classifier()
    X = rng.normal(size=(10, 4)).astype(np.float32)
    detector = ModelDistillation(distilled_model=student, model=teacher, temperature=0.5)
    scores, y, p = detector.score(X, 4, return_predictions=True)
    squares = teacher.predict(X, verbose=0).astype(np.float64) ** 2
    np.testing.assert_allclose(y, squares / squares.sum(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(p, student.predict(X, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(scores, kld(y, p), rtol=1e-5, atol=1e-6)


def test_scores_are_bit_identical_in_whatever_batches_instances_come(rng):
    layers = tf.keras.layers

    def convolutional(filters):
        return tf.keras.Sequential(
            [
                tf.keras.Input((32, 32, 3)),
                layers.Conv2D(filters, 4, strides=2, activation="relu"),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )

    X = rng.normal(size=(101, 32, 32, 3)).astype(np.float32)
    y = softmax(rng.normal(size=(101, 3))).astype(np.float32)
    # The student's first layer writes 230 kB an image, so that all of them take several calls.
    detector = ModelDistillation(distilled_model=convolutional(256), model=convolutional(8))
    plain = detector.score(X, batch_size=len(X), predictions=y)
    np.testing.assert_array_equal(detector.score_predictions(X, y), plain)
    np.testing.assert_array_equal(detector.score_instances(X), detector.score(X, batch_size=len(X)))
    for sizes in ([1, 2, 98], [33, 67, 1], [1, 1, 3, 48, 48]):
        bounds = np.cumsum([0, *sizes])
        parts = [detector.score_predictions(X[a:b], y[a:b]) for a, b in pairwise(bounds)]
        np.testing.assert_array_equal(np.concatenate(parts), plain)


def test_batch_size_changes_neither_scores_nor_graphs(classifier, rng):
    X = rng.normal(size=(37, 4)).astype(np.float32)
    y = softmax(rng.normal(size=(37, 3))).astype(np.float32)
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    expected = detector.score(X)
    graphs = detector.tracing_count
    for batch_size in (1, 2, 7, 36, 37, 1000):
        np.testing.assert_allclose(detector.score(X, batch_size=batch_size), expected, rtol=1e-5, atol=1e-7)
    assert detector.tracing_count == graphs
    for n in (1, 5, 37):
        detector.score_predictions(X[:n], y[:n])
        detector.score_instances(X[:n])
    assert detector.tracing_count == graphs + 2


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((6, 6, 1), [tf.keras.layers.Conv2D(2, 3), tf.keras.layers.Flatten()]),
        ((5, 3), [tf.keras.layers.GRU(4)]),
        ((None, 3), [tf.keras.layers.GlobalAveragePooling1D()]),
    ],
)
def test_any_shape_of_instance(shape, layers, rng):
    student = tf.keras.Sequential([tf.keras.Input(shape), *layers, tf.keras.layers.Dense(2, "softmax")])
    detector = ModelDistillation(distilled_model=student)
    X = rng.normal(size=(3, *(4 if size is None else size for size in shape)))
    assert detector.input_shape == shape
    assert detector.score(X, predictions=[[0.5, 0.5]] * 3).shape == (3,)


def test_whole_numbers_for_an_embedding(rng):
    student = tf.keras.Sequential(
        [
            tf.keras.Input((7,), dtype="int32"),
            tf.keras.layers.Embedding(20, 4),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(2, "softmax"),
        ]
    )
    X = rng.integers(0, 20, size=(5, 7))
    scores = ModelDistillation(distilled_model=student).score(X, predictions=[[1.0, 0.0]] * 5)
    np.testing.assert_allclose(scores, kld([[1.0, 0.0]] * 5, student.predict(X, verbose=0)), rtol=1e-5)


@pytest.mark.parametrize("read", [np.ndarray.tolist, tf.constant, lambda X: X.astype(np.float64), memoryview])
def test_instances_in_anything_that_numpy_reads(classifier, rng, read):
    X = rng.normal(size=(6, 4)).astype(np.float32)
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    np.testing.assert_array_equal(detector.score(read(X)), detector.score(X))


def test_threshold_leaves_the_asked_share_below(classifier, rng):
    X = rng.normal(size=(400, 4))
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    scores = detector.score(X).astype(np.float64)
    threshold = detector.infer_threshold(X, threshold_perc=95.0)
    assert threshold == detector.threshold == pytest.approx(np.percentile(scores, 95.0))
    assert detector.predict(X)["data"]["is_adversarial"].sum() == 20
    assert detector.infer_threshold(X, threshold_perc=95.0, margin=0.25) == pytest.approx(threshold + 0.25)


def test_prediction_has_flags_scores_and_description(echo):
    p = np.array([[0.5, 0.5], [0.9, 0.1]], dtype=np.float32)
    detector = ModelDistillation(threshold=0.1, distilled_model=echo(2), data_type="tabular")
    result = detector.predict(p, predictions=[[0.5, 0.5], [0.1, 0.9]])
    assert result["meta"]["name"] == "ModelDistillation"
    assert result["meta"]["detector_type"] == "adversarial"
    assert result["meta"]["data_type"] == "tabular"
    assert result["meta"]["online"] is False
    assert isinstance(result["meta"]["version"], str)
    np.testing.assert_array_equal(result["data"]["is_adversarial"], [0, 1])
    assert result["data"]["is_adversarial"].dtype.kind == "i"
    assert result["data"]["instance_score"].dtype == np.float32
    short = detector.predict(p, return_instance_score=False, predictions=[[0.5, 0.5], [0.1, 0.9]])
    assert short["data"]["instance_score"] is None
    result["meta"]["name"] = "mine"
    assert detector.meta["name"] == "ModelDistillation"


def test_empty_batch_of_a_stream_has_no_scores(classifier):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    X, y = np.empty((0, 4), np.float32), np.empty((0, 3), np.float32)
    assert detector.score_predictions(X, y).shape == detector.score_instances(X).shape == (0,)


def test_threads_get_their_own_scores(classifier, rng):
    X = rng.normal(size=(64, 50, 4)).astype(np.float32)
    y = softmax(rng.normal(size=(50, 3))).astype(np.float32)
    detector = ModelDistillation(distilled_model=classifier())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: detector.score_predictions(batch, y), X))
    for batch, scores in zip(X, found, strict=True):
        np.testing.assert_array_equal(scores, detector.score_predictions(batch, y))
    assert detector.tracing_count == 1


def test_scores_of_real_images_and_models(cifar10):
    student = tf.keras.models.load_model(cifar10 / "distilled.keras")
    teacher = tf.keras.models.load_model(cifar10 / "teacher.keras")
    known = np.load(cifar10 / "probs.npz", allow_pickle=False)
    X = np.load(cifar10 / "cifar10_eval.npz", allow_pickle=False)["X"][:200] / 255.0
    y, p = known["teacher_eval"][:200], known["distilled_eval"][:200]
    detector = ModelDistillation(distilled_model=student, model=teacher)
    # Convolutions differ between machines by some 1e-6 in a probability, and a score by that times 1 / p.
    np.testing.assert_allclose(detector.score(X), kld(y, p), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(detector.score(X, predictions=y), kld(y, p), rtol=1e-3, atol=1e-4)
