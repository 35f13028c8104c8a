"""``drift-monitor fit`` and ``reference build`` on tiny data: what is written, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tensorflow as tf

from detectors import load_bundle
from tests.cli_setup import N_CLASSES, N_FEATURES, classifier, complaints, run, write_bundle


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A teacher, data and its predictions as files in the current directory."""
    monkeypatch.chdir(tmp_path)
    teacher = classifier(3)
    teacher.save("teacher.keras")
    X = np.random.default_rng(0).normal(size=(400, N_FEATURES)).astype(np.float32)
    np.save("X.npy", X)
    y = teacher.predict(X, verbose=0)
    np.savez("data.npz", X=X, y=y)
    return tmp_path


def test_a_teacher_and_data_become_a_bundle(files):
    result = run("fit", "--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 60, "-o", "bundle")
    assert result.exit_code == 0, result.stderr
    bundle = load_bundle(files / "bundle")
    assert len(bundle.reference) == 100
    assert bundle.detector.model is not None
    share = float((bundle.reference > bundle.detector.threshold).mean())
    assert share == pytest.approx(0.05, abs=0.011)
    for line in ("Bundle:", "Agreement:", "Scores:", "Threshold:", "Reference:", "Next:"):
        assert line in result.stdout
    assert f"sha256:{bundle.manifest.reference.sha256}"[:19] in result.stdout


def test_training_makes_the_student_follow_its_teacher(files):
    run("fit", "--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 1, "-o", "little")
    run("fit", "--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 60, "-o", "much")
    little, much = (load_bundle(files / name).reference.mean() for name in ("little", "much"))
    assert much < little / 2


def test_a_fit_can_be_repeated(files):
    for name in ("one", "two"):
        run("fit", "--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 2, "--seed", 5, "-o", name)
    one, two = (load_bundle(files / name).reference for name in ("one", "two"))
    np.testing.assert_array_equal(one, two)


def test_known_predictions_replace_the_teacher(files):
    given = ["--data-key", "X", "--predictions", "data.npz", "--predictions-key", "y", "--epochs", 2]
    result = run("fit", "--data", "data.npz", *given, "-o", "bundle")
    assert result.exit_code == 0, result.stderr
    assert load_bundle(files / "bundle").detector.model is None


def test_functions_give_models_and_data(files, monkeypatch):
    (files / "my_study.py").write_text(
        "import numpy as np, tensorflow as tf\n"
        "def teacher(): return tf.keras.models.load_model('teacher.keras')\n"
        "def student():\n"
        "    layers = [tf.keras.Input((4,)), tf.keras.layers.Dense(3, 'softmax')]\n"
        "    return tf.keras.Sequential(layers, name='mine')\n"
        "def clean(): return np.load('X.npy')\n"
        "def number(): return 7\n"
        "def broken(): raise LookupError('no such table')\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    named = ["--teacher", "my_study:teacher", "--student", "my_study:student", "--data", "my_study:clean"]
    result = run("fit", *named, "--epochs", 1, "--drop-teacher", "-o", "bundle")
    assert result.exit_code == 0, result.stderr
    bundle = load_bundle(files / "bundle")
    assert (bundle.detector.distilled_model.name, bundle.detector.model) == ("mine", None)
    assert "without the teacher" in result.stdout
    failed = run("fit", "--teacher", "teacher.keras", "--data", "my_study:broken", "-o", "other")
    assert failed.exit_code == 2
    assert complaints(failed) == [
        "--data: my_study:broken raised LookupError: no such table; 'drift-monitor --debug ...' shows where."
    ]
    wrong = run("fit", "--teacher", "my_study:number", "--data", "X.npy", "-o", "other")
    assert complaints(wrong) == [
        "--teacher: my_study:number returned a int; it must return a tf.keras.Model."
    ]


def test_a_distilled_model_is_taken_as_it_is(files):
    student = classifier(9)
    student.save("student.keras")
    result = run(
        "fit", "--teacher", "teacher.keras", "--distilled", "student.keras", "--data", "X.npy", "-o", "bundle"
    )
    assert result.exit_code == 0, result.stderr
    bundle = load_bundle(files / "bundle")
    for ours, theirs in zip(
        bundle.detector.distilled_model.get_weights(), student.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert len(bundle.reference) == 400


def test_images_get_a_convolutional_student(files):
    teacher = tf.keras.Sequential(
        [tf.keras.Input((8, 8, 3)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(2, "softmax")]
    )
    teacher.save("images.keras")
    images = np.random.default_rng(0).integers(0, 256, size=(80, 8, 8, 3), dtype=np.uint8)
    np.save("images.npy", images)
    given = ["--data", "images.npy", "--divide-by", 255, "--epochs", 1, "--reference-size", 20]
    result = run("fit", "--teacher", "images.keras", *given, "-o", "bundle")
    assert result.exit_code == 0, result.stderr
    bundle = load_bundle(files / "bundle")
    assert bundle.detector.input_shape == (8, 8, 3)
    assert len(bundle.reference) == 20


def test_parquet_gives_features_by_column_and_lists(files):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    X = np.load("X.npy")
    pq.write_table(pa.table({f"f{i}": X[:, i] for i in range(N_FEATURES)}), "columns.parquet")
    pq.write_table(pa.table({"instance": list(X), "label": np.zeros(len(X))}), "lists.parquet")
    for name in ("columns", "lists"):
        given = ["--teacher", "teacher.keras", "--data", f"{name}.parquet", "--epochs", 1]
        assert run("fit", *given, "-o", name).exit_code == 0
    assert (
        run("fit", "--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 1, "-o", "npy").exit_code == 0
    )
    expected = load_bundle(files / "npy").reference
    for name in ("columns", "lists"):
        np.testing.assert_array_equal(load_bundle(files / name).reference, expected)


def test_the_reference_may_come_from_data_of_its_own(files):
    np.save("clean.npy", np.random.default_rng(9).normal(size=(50, N_FEATURES)))
    given = ["--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 1, "--reference-data", "clean.npy"]
    result = run("fit", *given, "-o", "bundle")
    assert "trained on 400 instances" in result.stdout
    assert len(load_bundle(files / "bundle").reference) == 50


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--data", "X.npy"], "Give the classifier with --teacher, or its probabilities with --predictions."),
        (
            ["--data", "Y.npy", "--teacher", "teacher.keras"],
            "--data: Y.npy cannot be read: No such file or directory.",
        ),
        (
            ["--data", "X.csv", "--teacher", "teacher.keras"],
            "--data: X.csv is not a '.npy', '.npz' or '.parquet' file",
        ),
        (
            ["--data", "teacher.npy", "--teacher", "teacher.keras"],
            "--data: teacher.npy is not a readable .npy file",
        ),
        (
            ["--data", "pickled.npy", "--teacher", "teacher.keras"],
            "--data: pickled.npy is not a readable .npy file",
        ),
        (
            ["--data", "data.npz", "--data-key", "Z", "--teacher", "teacher.keras"],
            "has no array 'Z'; it has 'X' or 'y'",
        ),
        (["--data", "X.npy", "--teacher", "gone.keras"], "--teacher: there is no file gone.keras"),
        (["--data", "X.npy", "--teacher", "X.npy"], "--teacher: X.npy is not a Keras model"),
        (["--data", "X.npy", "--teacher", "no_such:thing"], "--teacher: module 'no_such' cannot be imported"),
        (
            ["--data", "X.npy", "--teacher", "json:nothing"],
            "--teacher: module 'json' has no function 'nothing'.",
        ),
        (["--data", "few.npy", "--teacher", "teacher.keras"], "Only 10 instances are left for the reference"),
        (["--data", "nan.npy", "--teacher", "teacher.keras"], "X holds NaN, infinity or a number too large"),
        (
            ["--data", "wide.npy", "--teacher", "teacher.keras"],
            "--data: wide.npy has shape (400, 7); it must be",
        ),
        (
            ["--data", "X.npy", "--predictions", "few.npy"],
            "--predictions: few.npy has shape (40, 4); for 400 instances it must be (400, k)",
        ),
        (
            ["--data", "X.npy", "--teacher", "teacher.keras", "--student", "a", "--distilled", "b"],
            "Give --student, which is trained, or --distilled, which is not; not both.",
        ),
        (
            ["--data", "X.npy", "--teacher", "teacher.keras", "--epochs", 0],
            "The default student has to be trained",
        ),
    ],
)
def test_what_cannot_be_fitted_is_told_in_one_sentence(files, given, message):
    X = np.load("X.npy")
    np.save("few.npy", X[:40])
    np.save("wide.npy", np.ones((400, 7), np.float32))
    np.save("nan.npy", np.where(X > 2, np.nan, X))
    np.save("pickled.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (files / "teacher.npy").write_bytes(b"not an array")
    result = run("fit", *given, "-o", "bundle")
    said = complaints(result)
    assert result.exit_code == 2, result.stderr
    assert len(said) == 1
    assert message in said[0]
    assert not (files / "bundle").exists()


def test_a_bundle_is_replaced_only_on_request(files):
    write_bundle(files / "bundle")
    given = ["--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 1, "-o", "bundle"]
    refused = run("fit", *given)
    assert refused.exit_code == 2
    assert complaints(refused) == ["There is a bundle at bundle already; add --overwrite to replace it."]
    assert run("fit", *given, "--overwrite").exit_code == 0
    assert len(load_bundle(files / "bundle").reference) == 100


def test_a_directory_that_is_no_bundle_is_never_replaced(files):
    (files / "photos").mkdir()
    (files / "photos" / "cat.jpg").write_bytes(b"meow")
    given = ["--teacher", "teacher.keras", "--data", "X.npy", "--overwrite", "-o", "photos"]
    result = run("fit", *given)
    assert complaints(result) == ["photos exists and is not a detector bundle; choose another directory."]
    assert (files / "photos" / "cat.jpg").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_training(files):
    given = ["--teacher", "teacher.keras", "--data", "X.npy", "--epochs", 1]
    result = run("fit", *given, "-o", "X.npy/bundle")
    assert result.exit_code == 2
    expected = (
        f"The bundle cannot be written to X.npy/bundle: {files / 'X.npy'} is not a directory to write in."
    )
    assert complaints(result) == [expected]


def test_build_gives_a_bundle_another_reference(files):
    write_bundle(files / "bundle")
    before = load_bundle(files / "bundle")
    result = run("reference", "build", "--bundle", "bundle", "--data", "X.npy")
    assert result.exit_code == 0, result.stderr
    after = load_bundle(files / "bundle")
    expected = np.sort(before.detector.score(np.load("X.npy")))
    np.testing.assert_array_equal(after.reference, expected)
    assert after.detector.threshold == before.detector.threshold
    assert f"sha256:{after.manifest.reference.sha256}" in result.stdout


def test_build_can_leave_the_bundle_alone(files):
    write_bundle(files / "bundle")
    before = load_bundle(files / "bundle").reference
    result = run("reference", "build", "--bundle", "bundle", "--data", "X.npy", "-o", "scores.npy")
    assert result.exit_code == 0, result.stderr
    assert np.load("scores.npy").shape == (400,)
    np.testing.assert_array_equal(load_bundle(files / "bundle").reference, before)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "There is no detector bundle at bundle"),
        ("no_teacher", "bundle holds no teacher; give its probabilities with --predictions."),
        ("tampered", "has been altered: its SHA-256 digest is not the one in detector.json."),
    ],
)
def test_a_bundle_that_cannot_score_is_told(files, damage, message):
    if damage != "missing":
        write_bundle(files / "bundle", with_teacher=damage != "no_teacher")
    if damage == "tampered":
        with (files / "bundle" / "distilled.keras").open("ab") as file:
            file.write(b"!")
    result = run("reference", "build", "--bundle", "bundle", "--data", "X.npy")
    assert result.exit_code == 2
    assert message in complaints(result)[0]


def test_classes_are_counted_from_what_is_known(files):
    assert load_bundle(write_bundle(files / "bundle")).detector.n_classes == N_CLASSES
