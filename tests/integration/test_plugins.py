"""The example of docs/plugins.md: installed, named in a config, and run by the deployed worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.config.file import load_config
from monitor.errors import ConfigError
from tests.traffic import TinyDetector, publish
from tests.workers import WorkerUnderTest, monitor_config, wait_for_verdicts

EXAMPLE = Path(__file__).resolve().parents[1] / "example_plugin"
WINDOW = 50


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory that the example is installed into."""
    target = tmp_path_factory.mktemp("plugins")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(EXAMPLE)], check=True)
    return target


def csv(instances: np.ndarray, predictions: np.ndarray) -> list[bytes]:
    rows = np.concatenate([instances, predictions], axis=1).astype(float)
    return [";".join(map(repr, row)).encode() for row in rows.tolist()]


def test_a_worker_runs_what_another_package_adds(
    installed, kafka, redis_url, topic, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    tiny = TinyDetector(tmp_path / "tiny")
    topics = {name: topic(name) for name in ("events", "alerts", "rejected")}
    plugins: dict[str, Any] = {
        "input": {"format": "csv", "options": {"separator": ";"}, "preprocess": "standardize"},
        "test": {"name": "mean_shift", "p_val": 0.01},
        "window": {"size": WINDOW},
    }
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, **plugins)
    worker = WorkerUnderTest(tmp_path / "worker", config)
    with pytest.raises(ConfigError) as refused:
        load_config(worker.config)
    assert "input.format must be an installed event format, 'avro'" in str(refused.value)
    assert "no package adds any under 'drift_monitor.preprocessors'" in str(refused.value)
    assert "test.name must be a window test, 'ks_2samp'" in str(refused.value)

    monkeypatch.setenv("PYTHONPATH", f"{installed}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    calm, harmful = tiny.calm(WINDOW, seed=3), tiny.harmful(WINDOW, seed=4)
    for events in (calm, harmful):
        values = csv(events.instances * 2 + 10, events.predictions)
        publish(kafka.bootstrap, topics["events"], values, partitions=[0] * WINDOW)
    with worker.start():
        first, second = wait_for_verdicts(worker, redis_url, "m", 2)

    expected = [calm.scores.mean(), harmful.scores.mean()]
    np.testing.assert_allclose([first.mean, second.mean], expected, rtol=1e-3)
    assert (first.drift, second.drift) == (False, True)
