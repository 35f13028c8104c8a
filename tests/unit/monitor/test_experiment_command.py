"""``drift-monitor experiment contamination``: with the digits, and with what users get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from monitor.cli.main import main

SMALL = ["--repetitions", "20", "--no-figures"]


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["experiment", "contamination", *map(str, arguments)])


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    directory = tmp_path_factory.mktemp("digits")
    outcome = invoke(*SMALL, "-o", directory)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout, directory


def test_digits_need_nothing_and_show_harm(digits: tuple[str, Path]) -> None:
    output, directory = digits
    study = json.loads((directory / "study.json").read_text())

    accuracy = {(row["corruption"], row["severity"]): row["accuracy"] for row in study["accuracy"]}
    assert accuracy["clean", 0] > 0.93
    assert accuracy["pooled", 5] < accuracy["clean", 0] - 0.1
    share = {
        (row["corruption"], row["severity"], row["kind"], row["alternative"]): row["percentage"]
        for row in study["detected_from_percentage"]
    }
    assert share["pooled", 5, "harmful", "higher"] <= 40
    harmless = share["pooled", 5, "harmless", "higher"]
    assert harmless is None or harmless > share["pooled", 5, "harmful", "higher"]
    assert study["reference"]["size"] == 600
    assert "gaussian_noise" in output
    assert "two-sided, from" in output
    assert study["settings"]["seed"] == 0


def test_digits_are_deterministic(digits: tuple[str, Path], tmp_path: Path) -> None:
    assert invoke(*SMALL, "-o", tmp_path).exit_code == 0
    assert (tmp_path / "study.json").read_bytes() == (digits[1] / "study.json").read_bytes()


@pytest.fixture
def own_data(tmp_path: Path) -> list[str]:
    """Tables of another classifier, with its probabilities; 'shift' turns a third of the answers wrong."""
    rng = np.random.default_rng(0)
    n, classes = 600, 3
    labels = rng.integers(0, classes, n)

    def probabilities(answers: np.ndarray, sharpness: float) -> np.ndarray:
        y = rng.dirichlet(np.ones(classes), n) + sharpness * np.eye(classes)[answers]
        return y / y.sum(axis=1, keepdims=True)

    wrong = np.where(rng.random(n) < 1 / 3, (labels + 1) % classes, labels)
    np.savez(tmp_path / "clean.npz", X=rng.normal(size=(n, 4)), y=labels)
    np.savez(tmp_path / "corrupted.npz", y=labels, shift_1=rng.normal(size=(n, 4)))
    np.savez(
        tmp_path / "known.npz",
        teacher_eval=probabilities(labels, 20),
        distilled_eval=probabilities(labels, 10),
        teacher_shift_1=probabilities(wrong, 20),
        distilled_shift_1=probabilities(labels, 2),
    )
    return ["--clean", str(tmp_path / "clean.npz"), "--corrupted", str(tmp_path / "corrupted.npz")]


def test_any_classifier_and_data(own_data: list[str], tmp_path: Path) -> None:
    outcome = invoke(*own_data, "--probabilities", tmp_path / "known.npz", *SMALL, "-o", tmp_path / "study")
    assert outcome.exit_code == 0, outcome.output
    study = json.loads((tmp_path / "study" / "study.json").read_text())
    assert study["pool"] == ["shift"]
    assert study["data"] == {"clean": "clean.npz", "corrupted": "corrupted.npz"}


def test_a_copy_is_trained_when_there_is_none(own_data: list[str], tmp_path: Path) -> None:
    import tensorflow as tf

    layers = [tf.keras.Input((4,)), tf.keras.layers.Dense(3, activation="softmax")]
    tf.keras.Sequential(layers).save(tmp_path / "teacher.keras")
    models = ["--teacher", tmp_path / "teacher.keras", "--train", own_data[1], "--epochs", 1]
    outcome = invoke(*own_data, *models, *SMALL, "-o", tmp_path / "study")
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "study" / "contamination.csv").is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--clean", "a.npz"], "--clean and --corrupted belong together"),
        (
            ["--teacher", "a.keras"],
            "--teacher is about data that are not given; add --clean and --corrupted.",
        ),
        (["OWN"], "Give one of --probabilities, --detector and --teacher"),
        (["OWN", "--probabilities", "KNOWN", "--teacher", "a.keras"], "and no more than one"),
        (
            ["OWN", "--probabilities", "KNOWN", "--distilled", "a.keras"],
            "the copy of --teacher, which is not given",
        ),
        (["OWN", "--probabilities", "KNOWN", "--corruption", "fog"], "the data have no corruption 'fog'"),
        (["OWN", "--probabilities", "KNOWN", "--pool", "fog"], "--pool: the data have no corruption 'fog'"),
        (["OWN", "--probabilities", "CLEAN"], "has no array 'teacher_eval'"),
        (["OWN", "--detector", "nowhere"], "nowhere"),
        (["OWN", "--teacher", "nowhere.keras"], "--teacher: there is no file nowhere.keras"),
    ],
)
def test_what_users_get_wrong_is_one_sentence_and_exit_code_2(
    own_data: list[str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    places = {"KNOWN": str(tmp_path / "known.npz"), "CLEAN": str(tmp_path / "clean.npz")}
    given = [
        value
        for argument in arguments
        for value in (own_data if argument == "OWN" else [places.get(argument, argument)])
    ]
    outcome = invoke(*given, *SMALL, "-o", tmp_path / "study")
    assert outcome.exit_code == 2, outcome.output
    assert sentence in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert not (tmp_path / "study").exists()


def test_a_teacher_without_a_copy_or_data_to_train_one(own_data: list[str], tmp_path: Path) -> None:
    import tensorflow as tf

    layers = [tf.keras.Input((4,)), tf.keras.layers.Dense(3, activation="softmax")]
    tf.keras.Sequential(layers).save(tmp_path / "teacher.keras")
    outcome = invoke(*own_data, "--teacher", tmp_path / "teacher.keras", *SMALL, "-o", tmp_path / "study")
    assert outcome.exit_code == 2
    assert "with --distilled, or instances to train one on with --train" in outcome.stderr


def test_help_has_examples() -> None:
    outcome = invoke("--help")
    assert outcome.exit_code == 0
    assert "drift-monitor experiment contamination -o study" in outcome.stdout


def test_a_bundle_gives_both_models(own_data: list[str], tmp_path: Path) -> None:
    import tensorflow as tf

    from detectors import ModelDistillation, save_detector

    def classifier() -> tf.keras.Model:
        return tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, activation="softmax")])

    teacher, student = classifier(), classifier()
    save_detector(ModelDistillation(distilled_model=student, model=teacher), tmp_path / "both")
    save_detector(ModelDistillation(distilled_model=student), tmp_path / "student")

    outcome = invoke(*own_data, "--detector", tmp_path / "both", *SMALL, "-o", tmp_path / "study")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads((tmp_path / "study" / "study.json").read_text())["models"] == ["--detector"]

    outcome = invoke(*own_data, "--detector", tmp_path / "student", *SMALL, "-o", tmp_path / "none")
    assert outcome.exit_code == 2
    assert (
        "student holds no teacher; make the bundle with 'drift-monitor fit --keep-teacher'" in outcome.stderr
    )


def test_without_matplotlib_the_extra_is_named_before_any_work(
    own_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    outcome = invoke(*own_data, "--probabilities", tmp_path / "known.npz", "-o", tmp_path / "study")
    assert outcome.exit_code == 2
    assert "pip install 'drift-monitor[plots]', or add --no-figures" in outcome.stderr
    assert not (tmp_path / "study").exists()
