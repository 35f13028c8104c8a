"""Training a student: what is learnt, what is left alone, what Keras callbacks and the progress bar see."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf

from detectors import ModelDistillation
from detectors.errors import DetectorError, InvalidArgumentError
from detectors.losses import kld, temper


@pytest.fixture
def X(rng):
    return rng.normal(size=(300, 4)).astype(np.float32)


@pytest.mark.parametrize("loss_type", ["kld", "xent"])
def test_student_learns_to_follow_the_tempered_teacher(classifier, X, loss_type):
    teacher = classifier(spread=2.0)
    detector = ModelDistillation(
        distilled_model=classifier(), model=teacher, loss_type=loss_type, temperature=2.0
    )
    before = kld(temper(teacher.predict(X, verbose=0), 2.0), detector.distilled_model.predict(X, verbose=0))
    detector.fit(X, optimizer=tf.keras.optimizers.Adam(0.05), epochs=15, batch_size=32, verbose=False)
    after = kld(temper(teacher.predict(X, verbose=0), 2.0), detector.distilled_model.predict(X, verbose=0))
    assert after.mean() < 0.05 * before.mean()


def test_scores_follow_the_trained_weights(classifier, X):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier(spread=3.0))
    before = detector.score(X)
    detector.fit(X, optimizer=tf.keras.optimizers.Adam(0.05), epochs=5, batch_size=32, verbose=False)
    assert detector.score(X).mean() < 0.5 * before.mean()


@pytest.mark.parametrize("who", ["model", "distilled"])
def test_logits_are_trained_as_probabilities(classifier, X, who):
    logits, other = classifier(activation=None, spread=2.0), classifier()
    if who == "model":
        detector = ModelDistillation(distilled_model=other, model=logits, model_from_logits=True)
    else:
        detector = ModelDistillation(distilled_model=logits, model=other, distilled_from_logits=True)
    detector.fit(
        X,
        optimizer=tf.keras.optimizers.Adam(0.05),
        epochs=15,
        batch_size=32,
        verbose=False,
        log_metric=tf.keras.metrics.KLDivergence(name="divergence"),
    )
    assert detector.score(X).mean() < 0.01


def test_teacher_is_left_as_it_was(classifier, X):
    teacher = classifier()
    teacher.compile("sgd", "categorical_crossentropy")
    optimizer, weights = teacher.optimizer, teacher.get_weights()
    teacher.layers[0].trainable = True
    detector = ModelDistillation(distilled_model=classifier(), model=teacher)
    detector.fit(X, epochs=1, verbose=False)
    assert teacher.trainable
    assert teacher.layers[0].trainable
    assert teacher.optimizer is optimizer
    for before, after in zip(weights, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_teacher_runs_once_over_the_set(X):
    seen = []

    def count(x):
        seen.append(len(x))
        return x

    inputs = tf.keras.Input((4,))
    counted = tf.keras.layers.Lambda(
        lambda x: tf.ensure_shape(tf.numpy_function(count, [x], tf.float32), (None, 4))
    )(inputs)
    teacher = tf.keras.Model(inputs, tf.keras.layers.Dense(3, "softmax")(counted))
    seen.clear()
    student = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, "softmax")])
    detector = ModelDistillation(distilled_model=student, model=teacher)
    detector.fit(X, epochs=3, batch_size=100, verbose=False)
    assert sum(seen) == len(X)
    seen.clear()
    detector.fit(X, epochs=1, verbose=False, predictions=np.full((300, 3), 1 / 3))
    detector.score(X, predictions=np.full((300, 3), 1 / 3))
    assert seen == []


def test_known_predictions_replace_the_teacher(classifier, X):
    y = np.tile(np.array([0.7, 0.2, 0.1]), (300, 1))
    detector = ModelDistillation(distilled_model=classifier())
    detector.fit(
        X, optimizer=tf.keras.optimizers.Adam(0.1), epochs=20, batch_size=32, verbose=False, predictions=y
    )
    np.testing.assert_allclose(detector.distilled_model.predict(X, verbose=0), y, atol=0.05)


@pytest.mark.parametrize("seeded", [False, True])
def test_whole_set_is_shuffled_before_each_epoch(classifier, seeded):
    if seeded:
        tf.keras.utils.set_random_seed(1)
    n = 256
    order = []
    y = np.linspace(0.1, 0.9, n)
    y = np.stack([y, 1 - y], axis=1).astype(np.float32)

    def note(rows):
        order.append(rows[:, 0])
        return rows

    def loss(y_true, y_pred):
        seen = tf.numpy_function(note, [y_true], tf.float32)
        return tf.reduce_mean(tf.square(tf.ensure_shape(seen, (None, 2)) - y_pred), axis=-1)

    detector = ModelDistillation(distilled_model=classifier(classes=2))
    detector.fit(np.zeros((n, 4)), loss, epochs=2, batch_size=16, verbose=False, predictions=y)
    epochs = np.concatenate(order).reshape(2, n)
    for epoch in epochs:
        np.testing.assert_allclose(np.sort(epoch), y[:, 0], rtol=1e-5)
    # Of 256 evenly spread rows, 16 taken from a small shuffle buffer would all be near the start.
    assert np.ptp(epochs[0][:16]) > 0.4
    assert not np.array_equal(epochs[0], epochs[1])


def test_short_last_batch_builds_no_second_graph(classifier, X):
    traces = []

    def loss(y_true, y_pred):
        traces.append(1)
        return tf.keras.losses.kld(y_true, y_pred)

    def fit(n):
        traces.clear()
        detector = ModelDistillation(distilled_model=classifier(), model=classifier())
        detector.fit(X[:n], loss, epochs=3, batch_size=128, verbose=False)
        return len(traces)

    assert fit(300) == fit(256)


@pytest.mark.parametrize(
    "loss", [tf.keras.losses.MeanSquaredError(), tf.keras.losses.categorical_crossentropy]
)
def test_any_keras_loss_of_probabilities(classifier, X, loss):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier(spread=2.0))
    history = detector.fit(
        X, loss, tf.keras.optimizers.Adam(0.05), epochs=5, batch_size=32, verbose=False
    ).history["loss"]
    assert history[-1] < history[0]


def test_optimizer_as_class_or_instance(classifier, X):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    detector.fit(X, optimizer=tf.keras.optimizers.SGD, epochs=1, verbose=False)
    assert isinstance(detector.distilled_model.optimizer, tf.keras.optimizers.SGD)
    mine = tf.keras.optimizers.RMSprop(0.002)
    detector.fit(X, optimizer=mine, epochs=1, verbose=False)
    assert detector.distilled_model.optimizer is mine


def test_progress_bar_shows_the_metric_when_verbose(classifier, X, capsys):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    metric = ("agreement", tf.keras.metrics.CategoricalAccuracy())
    history = detector.fit(X, epochs=2, batch_size=100, verbose=True, log_metric=metric)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert re.search(r"agreement: 0\.\d+", shown)
    assert len(history.history["agreement"]) == 2
    detector.fit(X, epochs=1, verbose=False, log_metric=metric)
    assert capsys.readouterr().out == ""


def test_metric_compares_student_and_teacher(classifier, X):
    teacher = classifier()
    twin = tf.keras.models.clone_model(teacher)
    twin.set_weights(teacher.get_weights())
    history = ModelDistillation(distilled_model=twin, model=teacher).fit(
        X,
        optimizer=tf.keras.optimizers.SGD(0.0),
        epochs=1,
        verbose=False,
        log_metric=("agreement", tf.keras.metrics.CategoricalAccuracy()),
    )
    assert history.history["agreement"] == [1.0]


def test_callbacks_get_the_student_and_are_obeyed(classifier, X):
    class Watch(tf.keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epochs, self.losses = 0, []

        def on_train_begin(self, logs=None):
            self.trained = self.model

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1
            self.losses.append(logs["loss"])

    watch = Watch()
    rates = tf.keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    stop = tf.keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    history = detector.fit(X, epochs=10, verbose=False, callbacks=[watch, rates, stop])
    assert watch.trained is detector.distilled_model
    assert watch.epochs == len(history.history["loss"]) == 2
    assert watch.losses == history.history["loss"]
    assert float(detector.distilled_model.optimizer.learning_rate) == pytest.approx(0.05)


def test_preprocessing_comes_before_both_models(classifier, rng):
    raw = rng.integers(0, 256, size=(200, 2, 2)).astype(np.uint8)
    teacher = classifier()

    def scale(batch):
        return batch.reshape(-1, 4) / 255.0

    y = teacher.predict(scale(raw), verbose=0)
    detector = ModelDistillation(distilled_model=classifier(), model=teacher)
    detector.fit(
        raw,
        optimizer=tf.keras.optimizers.Adam(0.05),
        epochs=20,
        batch_size=32,
        verbose=False,
        preprocess_fn=scale,
    )
    assert kld(y, detector.distilled_model.predict(scale(raw), verbose=0)).mean() < 1e-3
    assert detector.score(scale(raw)).mean() < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must be a whole number"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"optimizer": "adam"}, "optimizer is 'adam'; it must be a Keras optimizer"),
        ({"loss_fn": "kld"}, "loss_fn is 'kld'; it must be a function"),
        ({"log_metric": "accuracy"}, "log_metric is 'accuracy'; it must be a Keras metric"),
        ({"log_metric": ("accuracy", None)}, "log_metric is .*; it must be a Keras metric"),
        ({"callbacks": [print]}, "callbacks holds .*print.*; it must hold tf.keras.callbacks.Callback"),
        ({"preprocess_fn": lambda x: x[:1]}, "preprocess_fn turned 128 instances into an array of shape"),
        ({"predictions": np.full((3, 3), 1 / 3)}, r"predictions has shape \(3, 3\); it must be \(300, 3\)"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_trained(classifier, X, options, message):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    before = detector.distilled_model.get_weights()
    with pytest.raises(InvalidArgumentError, match=message):
        detector.fit(X, **{"verbose": False, **options})
    for old, new in zip(before, detector.distilled_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_shared_weights_are_refused(classifier, X):
    model = classifier()
    with pytest.raises(InvalidArgumentError, match="shares trainable weights with model"):
        ModelDistillation(distilled_model=model, model=model).fit(X, verbose=False)


def test_training_that_diverges_is_an_error(classifier, X):
    detector = ModelDistillation(distilled_model=classifier(), model=classifier())
    with pytest.raises(DetectorError, match="Training diverged: the loss became nan in epoch 1"):
        detector.fit(X, lambda y, p: tf.reduce_mean(p) * np.nan, epochs=3, verbose=False)
