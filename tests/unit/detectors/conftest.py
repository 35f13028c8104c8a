"""Tiny Keras models for the tests of the detectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def classifier() -> Callable[..., Any]:
    """Make an untrained classifier of flat instances."""
    import tensorflow as tf

    def make(
        features: int = 4, classes: int = 3, activation: str | None = "softmax", spread: float = 1.0
    ) -> Any:
        model = tf.keras.Sequential([tf.keras.Input((features,)), tf.keras.layers.Dense(classes, activation)])
        kernel, bias = model.get_weights()
        model.set_weights([kernel * spread, bias])
        return model

    return make


@pytest.fixture
def echo() -> Callable[..., Any]:
    """Make a model that gives its input back, so that tests choose its outputs."""
    import tensorflow as tf

    def make(size: int) -> Any:
        return tf.keras.Sequential([tf.keras.Input((size,)), tf.keras.layers.Activation("linear")])

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
