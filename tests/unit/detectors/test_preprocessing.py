"""Scaling of instances and reduction of dimensions."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from detectors import UAE, HiddenOutput, KSDrift, preprocess_drift, scale_by_instance
from detectors.errors import InvalidArgumentError


def test_each_instance_gets_zero_mean_and_unit_spread(rng):
    X = rng.normal(5.0, 3.0, size=(300, 8, 8, 3)).astype(np.float32)
    scaled = scale_by_instance(X)
    assert scaled.dtype == np.float32
    assert scaled.shape == X.shape
    np.testing.assert_allclose(scaled.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(axis=(1, 2, 3)), 1, rtol=1e-5)
    expected = (X[7].astype(np.float64) - X[7].mean(dtype=np.float64)) / X[7].std(dtype=np.float64)
    np.testing.assert_allclose(scaled[7], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("eps", [1e-12, 0.0])
def test_constant_instance_becomes_zeros(eps):
    np.testing.assert_array_equal(scale_by_instance([[3.0, 3.0], [1.0, 2.0]], eps), [[0, 0], [-1, 1]])


def test_input_of_scaling_is_left_alone():
    X = np.array([[0, 100, 200]], dtype=np.uint8)
    scale_by_instance(X)
    np.testing.assert_array_equal(X, [[0, 100, 200]])


@pytest.mark.parametrize("X", [[], [1.0, 2.0], [["a"]], [[np.nan, 1.0]]])
def test_scaling_refuses_what_has_no_spread(X):
    with pytest.raises(InvalidArgumentError):
        scale_by_instance(X)


def test_model_is_run_in_batches_and_compiled_once(rng):
    traces = []

    class Traced(tf.keras.layers.Layer):
        def call(self, x):
            traces.append(1)
            return x * 2

    model = tf.keras.Sequential([tf.keras.Input((3,)), Traced()])
    traces.clear()
    X = rng.normal(size=(23, 3))
    for batch_size in (1, 5, 23, 64):
        np.testing.assert_allclose(preprocess_drift(X, model, batch_size=batch_size), X * 2, rtol=1e-6)
    assert len(traces) == 1


def test_compiled_model_is_let_go_with_the_model(rng):
    model = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)])
    preprocess_drift(rng.normal(size=(4, 3)), model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_batches_of_text_are_turned_into_numbers_first():
    model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Rescaling(0.5)])
    lengths = preprocess_drift(
        ["a", "bb", "cccc"],
        model,
        preprocess_batch_fn=lambda words: [[len(word)] for word in words],
        batch_size=2,
    )
    np.testing.assert_allclose(lengths, [[0.5], [1.0], [2.0]])


def test_untrained_encoder_makes_drift_visible(rng):
    tf.keras.utils.set_random_seed(0)
    encoder = UAE(shape=(6, 6, 1), enc_dim=4)
    detector = KSDrift(
        rng.normal(size=(200, 6, 6, 1)), preprocess_fn=partial(preprocess_drift, model=encoder, batch_size=64)
    )
    assert detector.n_features == 4
    assert detector.predict(rng.normal(size=(200, 6, 6, 1)) + 1.0)["data"]["is_drift"] == 1


def test_own_encoder_is_flattened():
    net = tf.keras.Sequential([tf.keras.Input((4, 4, 1)), tf.keras.layers.Conv2D(2, 3)])
    assert UAE(encoder_net=net).output_shape == (None, 8)
    for wrong in ({}, {"encoder_net": net, "shape": (4,)}):
        with pytest.raises(InvalidArgumentError, match="Give either encoder_net or shape"):
            UAE(**wrong)


def test_hidden_layer_of_a_model(classifier, rng):
    inputs = tf.keras.Input((4,))
    hidden = tf.keras.layers.Dense(5, name="features")(inputs)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(2, "softmax")(hidden))
    X = rng.normal(size=(6, 4)).astype(np.float32)
    kernel, bias = model.get_layer("features").get_weights()
    for layer in ("features", 1, -2):
        np.testing.assert_allclose(
            preprocess_drift(X, HiddenOutput(model, layer)), X @ kernel + bias, rtol=1e-4, atol=1e-5
        )
    with pytest.raises(InvalidArgumentError, match=r"model has no layer 'top'; its layers are .*features"):
        HiddenOutput(model, "top")
