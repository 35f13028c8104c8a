"""What the README tells users to run, run as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from tests.conftest import REPO
from tests.workers import WorkerUnderTest

README = (REPO / "README.md").read_text()
FEATURES = 8


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[list[str]]:
    lines = "".join(blocks("sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(f"drift-monitor {name}")]


def run(directory: Path, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("drift-monitor")), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def classifier(width: int) -> tf.keras.Model:
    return tf.keras.Sequential(
        [
            tf.keras.Input((FEATURES,)),
            tf.keras.layers.Dense(width, activation="relu"),
            tf.keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's directory: a Keras classifier and clean inputs."""
    home = tmp_path_factory.mktemp("home")
    classifier(16).save(home / "model.keras")
    rng = np.random.default_rng(1)
    np.savez(home / "clean.npz", X=rng.normal(size=(2000, FEATURES)).astype(np.float32))
    return home


def test_quick_start(home: Path, kafka, redis_url: str, tmp_path: Path):
    (fit,) = commands("fit")
    fitted = run(home, fit)
    assert fitted.returncode == 0, fitted.stderr
    (config,) = (yaml.safe_load(block) for block in blocks("yaml") if "monitors:" in block)
    config["kafka"] = {"bootstrap.servers": kafka.bootstrap, "group.id": "readme"}
    config["redis"] = {"url": redis_url}
    config["monitors"][0]["detector"] = str(home / "models/churn")
    (home / "monitor.yaml").write_text(yaml.safe_dump(config))

    (check,) = commands("check")
    checked = run(home, check)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (worker_command,) = commands("worker")
    assert worker_command == ["worker", "-c", "monitor.yaml"]
    worker = WorkerUnderTest(tmp_path, config).start()
    try:
        worker.wait_for("reading", lambda: "Reading" in worker.log)
        assert worker.stop() == 0
    finally:
        worker.close()
    (alerts,) = commands("alerts")
    followed = run(home, [*alerts, "--timeout", "1"])
    assert followed.returncode == 0, followed.stderr


@pytest.mark.parametrize(
    "test", [block.split("#")[0] for block in "".join(blocks("yaml")).splitlines() if "expected_" in block]
)
def test_promises_are_valid_config(test: str):
    from monitor.config import WindowTestConfig

    section = yaml.safe_load(test)["test"]
    assert WindowTestConfig(**{key: float(value) for key, value in section.items()}).expected_run_time == 1000


def test_notebook_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    X = np.random.default_rng(1).normal(size=(300, FEATURES)).astype(np.float32)
    names = {"student": classifier(4), "teacher": classifier(16)}
    names |= {"X_train": X, "X_clean": X[:200], "X": X[:50], "X_reference": X[200:]}
    (code,) = blocks("python")

    exec(code.replace("epochs=20", "epochs=1"), names)

    assert (tmp_path / "models/churn/detector.json").exists()
