"""The published study on real images: CIFAR-10, a ResNet-32, its distilled copy, CIFAR-10-C's corruptions."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from monitor.cli.main import main

SEVERITIES = (1, 2, 3, 4, 5)
COMMAND = ["experiment", "contamination"]


def run(*arguments: object) -> str:
    outcome = CliRunner().invoke(main, [*COMMAND, *map(str, arguments)])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


@pytest.fixture(scope="module")
def directory(cifar10: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("study")
    run(
        *("--clean", cifar10 / "cifar10_eval.npz", "--corrupted", cifar10 / "cifar10_corrupted.npz"),
        *("--probabilities", cifar10 / "probs.npz", "-o", directory),
    )
    return directory


@pytest.fixture(scope="module")
def study(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / "study.json").read_text())
    return document


def curve(
    study: dict[str, Any], corruption: str, severity: int, kind: str, alternative: str
) -> list[dict[str, Any]]:
    wanted = {"corruption": corruption, "severity": severity, "kind": kind, "alternative": alternative}
    return [row for row in study["contamination"] if wanted.items() <= row.items()]


def means(study: dict[str, Any], kind: str) -> list[float]:
    rows = [row for row in study["scores"] if (row["corruption"], row["kind"]) == ("pooled", kind)]
    return [row["mean"] for row in rows]


def detected(
    study: dict[str, Any], corruption: str, severity: int, kind: str, alternative: str
) -> int | None:
    wanted = {"corruption": corruption, "severity": severity, "kind": kind, "alternative": alternative}
    (row,) = (row for row in study["detected_from_percentage"] if wanted.items() <= row.items())
    share: int | None = row["percentage"]
    return share


def test_accuracy_falls_while_harmful_scores_grow(study: dict[str, Any]) -> None:
    accuracy = [row["accuracy"] for row in study["accuracy"] if row["corruption"] in ("clean", "pooled")]
    assert len(accuracy) == 6
    assert (np.diff(accuracy) < -0.04).all()
    harmful, harmless = means(study, "harmful"), means(study, "harmless")
    # The last step is flat: 3.55 and 3.53.
    assert (np.diff(harmful) > -0.05).all()
    assert harmful[4] > 1.4 * harmful[0]
    assert all(high > 3 * low for high, low in zip(harmful, harmless, strict=True))


def test_accuracy_is_the_known_one(study: dict[str, Any], cifar10: Path) -> None:
    # The known one is of all 2,000 images, of which the study has the first 1,000.
    known = json.loads((cifar10 / "teacher_acc_corrupted.json").read_text())
    for row in study["accuracy"]:
        if row["corruption"] not in ("clean", "pooled"):
            assert row["accuracy"] == pytest.approx(known[f"{row['corruption']}_{row['severity']}"], abs=0.03)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_harmful_contamination_is_detected_by_a_third_and_harmless_is_not(
    study: dict[str, Any], severity: int
) -> None:
    # Published: 20 to 30 %. At severity 1 the two-sided test needs 40 % here.
    assert detected(study, "pooled", severity, "harmful", "higher") <= 30
    assert detected(study, "pooled", severity, "harmful", "two-sided") <= (40 if severity == 1 else 30)
    for alternative in ("two-sided", "higher"):
        assert all(row["mean_p"] > 0.1 for row in curve(study, "pooled", severity, "harmless", alternative))


def test_the_one_sided_test_seldom_flags_harmless_batches(study: dict[str, Any]) -> None:
    for severity in SEVERITIES:
        assert all(row["flagged"] <= 0.05 for row in curve(study, "pooled", severity, "harmless", "higher"))


@pytest.mark.parametrize("corruption", ["fog", "contrast"])
def test_harmless_fog_and_contrast_are_flagged_too(study: dict[str, Any], corruption: str) -> None:
    for alternative in ("two-sided", "higher"):
        assert detected(study, corruption, 5, "harmless", alternative) in (40, 50)


def test_figures_are_small_and_one_a_severity(directory: Path) -> None:
    figures = {path.stem: path.stat().st_size for path in directory.glob("*.png")}
    assert set(figures) == {
        *(f"contamination-severity-{severity}" for severity in SEVERITIES),
        *("scores", "scores-by-corruption", "contamination-by-corruption", "distributions"),
    }
    assert max(figures.values()) < 120_000


def test_the_same_seed_gives_the_same_files(directory: Path, cifar10: Path, tmp_path: Path) -> None:
    run(
        *("--clean", cifar10 / "cifar10_eval.npz", "--corrupted", cifar10 / "cifar10_corrupted.npz"),
        *("--probabilities", cifar10 / "probs.npz", "--no-figures", "-o", tmp_path),
    )
    for name in ("accuracy.csv", "scores.csv", "contamination.csv", "study.json"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


def test_public_formats_and_real_models_give_what_their_probabilities_give(
    cifar10: Path, tmp_path: Path
) -> None:
    n = 80
    clean, corrupted = tmp_path / "cifar-10-batches-py", tmp_path / "CIFAR-10-C"
    clean.mkdir()
    corrupted.mkdir()
    with np.load(cifar10 / "cifar10_eval.npz") as archive:
        images, labels = archive["X"][:n], archive["y"][:n]
    rows = images.transpose(0, 3, 1, 2).reshape(n, -1)
    (clean / "test_batch").write_bytes(pickle.dumps({"data": rows, "labels": labels.tolist()}, protocol=2))
    np.save(corrupted / "labels.npy", np.tile(labels, len(SEVERITIES)))
    with np.load(cifar10 / "cifar10_corrupted.npz") as archive:
        noisy = [archive[f"gaussian_noise_{severity}"][:n] for severity in SEVERITIES]
    np.save(corrupted / "gaussian_noise.npy", np.concatenate(noisy))
    with np.load(cifar10 / "probs.npz") as archive:
        names = ["eval", *(f"gaussian_noise_{severity}" for severity in SEVERITIES)]
        keys = [f"{model}_{name}" for model in ("teacher", "distilled") for name in names]
        np.savez(tmp_path / "known.npz", **{key: archive[key][:n] for key in keys})

    def scores(name: str, *models: object) -> dict[str, Any]:
        run(
            *("--clean", clean, "--corrupted", corrupted, "--window-size", 10, "--repetitions", 5),
            *("--no-figures", "-o", tmp_path / name, *models),
        )
        document: dict[str, Any] = json.loads((tmp_path / name / "study.json").read_text())
        return document

    known = scores("known", "--probabilities", tmp_path / "known.npz")
    made = scores("made", "--teacher", cifar10 / "teacher.keras", "--distilled", cifar10 / "distilled.keras")

    assert made["accuracy"] == known["accuracy"]
    assert [row["n"] for row in made["scores"]] == [row["n"] for row in known["scores"]]
    assert [row["mean"] for row in made["scores"]] == pytest.approx(
        [row["mean"] for row in known["scores"]], rel=1e-3
    )
