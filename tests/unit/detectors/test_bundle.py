"""Bundles: what goes in comes out, and a path never holds half of one."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from detectors import (
    UAE,
    KSDrift,
    ModelDistillation,
    load_bundle,
    load_detector,
    preprocess_drift,
    save_detector,
    scale_by_instance,
)
from detectors.errors import BundleError, InvalidArgumentError


@pytest.fixture
def distillation(classifier):
    return ModelDistillation(
        threshold=0.3,
        distilled_model=classifier(),
        model=classifier(),
        loss_type="xent",
        temperature=2.0,
        data_type="tabular",
    )


def test_distillation_comes_back_the_same(distillation, rng, tmp_path):
    X = rng.normal(size=(40, 4))
    reference = distillation.score(X)
    save_detector(distillation, tmp_path / "bundle", reference=reference)
    bundle = load_bundle(tmp_path / "bundle")
    assert isinstance(bundle.detector, ModelDistillation)
    np.testing.assert_array_equal(bundle.detector.score(X), reference)
    np.testing.assert_array_equal(bundle.reference, np.sort(reference))
    assert bundle.reference.dtype == np.float32
    for name in ("threshold", "loss_type", "temperature", "input_shape", "n_classes"):
        assert getattr(bundle.detector, name) == getattr(distillation, name)
    assert bundle.detector.meta == distillation.meta


def test_manifest_says_what_the_bundle_holds(distillation, tmp_path):
    written = save_detector(distillation, tmp_path / "bundle", reference=[2.0, 1.0, 3.0])
    content = json.loads((tmp_path / "bundle" / "detector.json").read_text())
    assert content["format_version"] == 1
    assert content["class"] == "ModelDistillation"
    assert content["threshold"] == 0.3
    assert content["input_shape"] == [4]
    assert content["n_classes"] == 3
    assert content["parameters"]["temperature"] == 2.0
    assert set(content["versions"]) == {"python", "drift-monitor", "tensorflow", "keras", "numpy"}
    assert set(content["files"]) == {"distilled.keras", "model.keras", "reference.npy"}
    assert content["reference"]["size"] == 3
    assert load_bundle(tmp_path / "bundle").manifest == written


def test_teacher_and_reference_are_optional(classifier, rng, tmp_path):
    detector = ModelDistillation(distilled_model=classifier())
    save_detector(detector, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.reference is None
    assert bundle.detector.model is None
    assert bundle.detector.threshold is None
    assert not (tmp_path / "bundle" / "model.keras").exists()


def test_teacher_may_be_left_on_disk(distillation, rng, tmp_path):
    save_detector(distillation, tmp_path / "bundle")
    detector = load_bundle(tmp_path / "bundle", with_model=False).detector
    X, y = rng.normal(size=(5, 4)), np.full((5, 3), 1 / 3)
    assert detector.model is None
    np.testing.assert_array_equal(detector.score(X, predictions=y), distillation.score(X, predictions=y))


def test_training_state_is_left_out(classifier, rng, tmp_path):
    X = rng.normal(size=(64, 4))
    detector = ModelDistillation(
        distilled_model=classifier(), model=classifier(), distilled_from_logits=False
    )
    save_detector(detector, tmp_path / "before")
    detector.fit(X, epochs=1, verbose=False)
    save_detector(detector, tmp_path / "after")
    sizes = [(tmp_path / name / "distilled.keras").stat().st_size for name in ("before", "after")]
    assert abs(sizes[0] - sizes[1]) < 1000
    np.testing.assert_array_equal(load_detector(tmp_path / "after").score(X), detector.score(X))
    assert detector.distilled_model.optimizer is not None


def test_logits_stay_logits(classifier, rng, tmp_path):
    detector = ModelDistillation(
        distilled_model=classifier(activation=None),
        model=classifier(activation=None),
        model_from_logits=True,
        distilled_from_logits=True,
    )
    save_detector(detector, tmp_path / "bundle")
    X = rng.normal(size=(5, 4))
    np.testing.assert_array_equal(load_detector(tmp_path / "bundle").score(X), detector.score(X))


def test_models_with_operators_and_recurrent_layers(rng, tmp_path):
    inputs = tf.keras.Input((5, 2))
    hidden = tf.keras.layers.Bidirectional(tf.keras.layers.LSTM(3))(inputs / 255.0)
    outputs = tf.keras.ops.softmax(tf.keras.layers.Dense(3, kernel_regularizer="l2")(hidden)[:, :2])
    detector = ModelDistillation(distilled_model=tf.keras.Model(inputs, outputs))
    save_detector(detector, tmp_path / "bundle")
    X, y = rng.normal(size=(3, 5, 2)), [[0.5, 0.5]] * 3
    np.testing.assert_allclose(
        load_detector(tmp_path / "bundle").score(X, predictions=y),
        detector.score(X, predictions=y),
        rtol=1e-6,
    )


@pytest.mark.parametrize("update", [None, {"last": 50}, {"reservoir_sampling": 60}])
@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_ks_drift_comes_back_the_same(rng, tmp_path, update, alternative):
    detector = KSDrift(
        rng.normal(size=(100, 3)),
        p_val=0.01,
        correction="fdr",
        alternative=alternative,
        update_x_ref=update,
        data_type="tabular",
    )
    detector.predict(rng.normal(size=(30, 3)))
    save_detector(detector, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    X = rng.normal(size=(40, 3)) + 0.3
    for ours, theirs in zip(bundle.detector.score(X), detector.score(X), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(bundle.reference, detector.x_ref)
    for name in ("n", "p_val", "correction", "alternative", "update_x_ref", "n_features", "meta", "method"):
        assert getattr(bundle.detector, name) == getattr(detector, name)


@pytest.mark.parametrize("preprocess_at_init", [True, False])
def test_ks_drift_keeps_its_preprocessing(classifier, rng, tmp_path, preprocess_at_init):
    scorer = ModelDistillation(distilled_model=classifier(), model=classifier())
    x_ref, X = rng.normal(size=(80, 4)), rng.normal(size=(30, 4))
    for number, function in enumerate(
        [
            partial(scorer.score, batch_size=16),
            scorer.score,
            scale_by_instance,
            partial(scale_by_instance, eps=1e-3),
            partial(preprocess_drift, model=UAE(shape=(4,), enc_dim=2), batch_size=np.int64(32)),
        ]
    ):
        detector = KSDrift(x_ref, preprocess_fn=function, preprocess_at_init=preprocess_at_init)
        save_detector(detector, tmp_path / str(number))
        loaded = load_detector(tmp_path / str(number))
        np.testing.assert_array_equal(loaded.score(X), detector.score(X))


@pytest.mark.parametrize(
    "function",
    [lambda x: x, partial(scale_by_instance, None), partial(np.clip, a_min=0, a_max=1)],
    ids=["lambda", "positional", "numpy"],
)
def test_preprocessing_of_unknown_origin_is_not_stored(rng, tmp_path, function):
    detector = KSDrift(rng.normal(size=(20, 2)), preprocess_fn=function, x_ref_preprocessed=True)
    with pytest.raises(
        BundleError, match=r"preprocess_fn is .*, which a bundle cannot store; a bundle can store"
    ):
        save_detector(detector, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_reference_of_ks_drift_is_its_own(rng, tmp_path):
    with pytest.raises(BundleError, match="save it without reference="):
        save_detector(KSDrift(rng.normal(size=20)), tmp_path / "bundle", reference=[1.0, 2.0])


def test_other_things_are_not_detectors(tmp_path):
    with pytest.raises(BundleError, match="A dict cannot be stored"):
        save_detector({}, tmp_path / "bundle")


@pytest.mark.parametrize("reference", [[1.0], [[1.0, 2.0]], [1.0, np.nan], [1.0, 1e300], "text"])
def test_wrong_references_leave_nothing_behind(distillation, tmp_path, reference):
    with pytest.raises(InvalidArgumentError, match="reference"):
        save_detector(distillation, tmp_path / "bundle", reference=reference)
    assert list(tmp_path.iterdir()) == []


def test_existing_bundle_is_replaced_only_when_asked(classifier, tmp_path):
    first, second = (ModelDistillation(threshold=t, distilled_model=classifier()) for t in (1.0, 2.0))
    path = tmp_path / "deep" / "bundle"
    save_detector(first, path)
    with pytest.raises(BundleError, match="pass overwrite=True to replace it"):
        save_detector(second, path)
    assert load_detector(path).threshold == 1.0
    save_detector(second, path, overwrite=True)
    assert load_detector(path).threshold == 2.0
    assert [file.name for file in path.parent.iterdir()] == ["bundle"]


def test_what_is_no_bundle_is_never_replaced(classifier, tmp_path):
    detector = ModelDistillation(distilled_model=classifier())
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    (tmp_path / "file").write_text("text")
    for name in ("thesis", "file"):
        with pytest.raises(BundleError, match="is not a detector bundle, so it is left alone"):
            save_detector(detector, tmp_path / name, overwrite=True)
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    save_detector(detector, tmp_path / "empty")
    assert load_detector(tmp_path / "empty").n_classes == 3


def test_failed_replacement_keeps_the_old_bundle(classifier, tmp_path):
    path = tmp_path / "bundle"
    save_detector(ModelDistillation(threshold=1.0, distilled_model=classifier()), path)
    inputs = tf.keras.Input((4,))
    outputs = tf.keras.layers.Lambda(tf.nn.softmax, output_shape=(4,))(inputs)
    broken = ModelDistillation(distilled_model=tf.keras.Model(inputs, outputs))
    with pytest.raises(BundleError, match="layer of class Lambda"):
        save_detector(broken, path, overwrite=True)
    assert load_detector(path).threshold == 1.0
    assert list(tmp_path.iterdir()) == [path]


def test_bundle_can_be_moved_and_reached_through_a_link(distillation, tmp_path):
    save_detector(distillation, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "current").symlink_to("b")
    assert load_detector(tmp_path / "current").threshold == 0.3


def test_bundle_is_readable_by_other_users(distillation, tmp_path):
    save_detector(distillation, tmp_path / "bundle", reference=[1.0, 2.0])
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "bundle").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_real_models_make_a_bundle(cifar10, tmp_path):
    detector = ModelDistillation(
        distilled_model=tf.keras.models.load_model(cifar10 / "distilled.keras"),
        model=tf.keras.models.load_model(cifar10 / "teacher.keras"),
    )
    scores = np.load(cifar10 / "probs.npz", allow_pickle=False)["score_test"][:1000]
    save_detector(detector, tmp_path / "cifar10", reference=scores)
    bundle = load_bundle(tmp_path / "cifar10")
    np.testing.assert_array_equal(bundle.reference, np.sort(scores))
    X = np.load(cifar10 / "cifar10_eval.npz", allow_pickle=False)["X"][:20] / 255.0
    np.testing.assert_allclose(bundle.detector.score(X), detector.score(X), rtol=1e-5, atol=1e-6)
