"""The main job on real input: CIFAR-10 images and a ResNet-32, on a real broker and a real Redis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from detectors import ModelDistillation, save_detector
from streams.encoding import encode_tensor
from tests.traffic import consume, publish
from tests.workers import WorkerUnderTest, monitor_config, wait_for_verdicts

WINDOW = 100
CLEAN, HARMFUL, CLEAN_AGAIN = 40, 10, 10
"""Windows of each part of the stream."""
CORRUPTION = "gaussian_noise_5"


def images(stored: np.ndarray) -> np.ndarray:
    return (stored / 255).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(cifar10: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The given distilled model; its reference are the scores of 1000 clean images."""
    detector = ModelDistillation(distilled_model=tf.keras.models.load_model(cifar10 / "distilled.keras"))
    clean = images(np.load(cifar10 / "cifar10_eval.npz")["X"][1000:])
    predictions = np.load(cifar10 / "probs.npz")["teacher_eval"][1000:]
    detector.infer_threshold(clean, threshold_perc=95, predictions=predictions)
    path = tmp_path_factory.mktemp("bundle") / "cifar10"
    save_detector(detector, path, reference=detector.score(clean, predictions=predictions))
    return path


@pytest.fixture(scope="module")
def windows(cifar10: Path) -> list[list[bytes]]:
    """40 clean windows of events, 10 in which half of the images are harmful, 10 clean ones."""
    evaluation, probabilities = np.load(cifar10 / "cifar10_eval.npz"), np.load(cifar10 / "probs.npz")
    labels = evaluation["y"][:1000]
    clean = images(evaluation["X"][:1000]), probabilities["teacher_eval"][:1000]
    noisy = (
        images(np.load(cifar10 / "cifar10_corrupted.npz")[CORRUPTION]),
        probabilities[f"teacher_{CORRUPTION}"],
    )
    harmful = np.flatnonzero((clean[1].argmax(1) == labels) & (noisy[1].argmax(1) != labels))
    rng = np.random.default_rng(20)

    def window(bad: int) -> list[bytes]:
        picked_bad = rng.choice(harmful, bad, replace=False)
        picked = rng.choice(len(labels), WINDOW - bad, replace=False)
        order = rng.permutation(WINDOW)
        return encode_tensor(
            np.concatenate([noisy[0][picked_bad], clean[0][picked]])[order],
            np.concatenate([noisy[1][picked_bad], clean[1][picked]])[order],
        )

    return [window(bad) for bad in [0] * CLEAN + [WINDOW // 2] * HARMFUL + [0] * CLEAN_AGAIN]


@pytest.mark.real_broker
def test_harmful_images_raise_one_alert_and_clean_ones_resolve_it(
    bundle: Path, windows: list[list[bytes]], kafka, topic, redis_url: str, tmp_path: Path
):
    topics = {name: topic(name) for name in ("events", "alerts", "rejected")}
    config = monitor_config(
        kafka.bootstrap,
        redis_url,
        bundle,
        topics,
        name="cifar10",
        input={"format": "tensor"},
        test={"p_val": 0.01, "alternative": "higher"},
        alerts={"raise_after": 2, "resolve_after": 3},
    )
    with WorkerUnderTest(tmp_path, config) as worker:
        worker.start()
        publish(kafka.bootstrap, topics["events"], [value for window in windows for value in window])
        verdicts = wait_for_verdicts(worker, redis_url, "cifar10", len(windows))
        assert worker.stop() == 0
    alerts = [
        json.loads(message.value()) for message in consume(kafka.bootstrap, topics["alerts"], 2, extra=1.0)
    ]

    assert [verdict.offsets for verdict in verdicts] == [
        {0: (start, start + WINDOW - 1)} for start in range(0, len(windows) * WINDOW, WINDOW)
    ]
    assert [alert["type"].split(".")[2] for alert in alerts] == ["detected", "resolved"]
    detected, resolved = (alert["data"] for alert in alerts)
    assert CLEAN < detected["window"]["sequence"] <= CLEAN + 3
    assert CLEAN + HARMFUL < resolved["window"]["sequence"] <= len(windows)
    assert (detected["state"], resolved["state"]) == ("drift", "normal")
    last = detected["window"]["sequence"] * WINDOW - 1
    assert detected["window"]["offsets"] == {topics["events"]: {"0": [last - WINDOW + 1, last]}}
    assert detected["examples"][0]["score"] == pytest.approx(detected["scores"]["max"])
    assert "Traceback" not in worker.log
