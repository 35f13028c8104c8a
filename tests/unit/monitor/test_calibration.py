"""Calibration: figures on samples whose answers are known, and the command that shows them."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy import stats

from monitor.calibration.calibrate import Calibration, spread_over_references
from monitor.calibration.intervals import count_interval, mean_interval, share_interval
from monitor.calibration.rehearsal import Rehearsal, Role
from monitor.config import MonitorConfig
from monitor.errors import SetupError
from streams.state.batches import Batch
from streams.state.memory_windows import MemoryWindowStore
from streams.state.windows import ScoredRows, WindowPolicy
from tests.cli_setup import N_CLASSES, N_FEATURES, complaints, run, write_bundle

RNG = np.random.default_rng(1)
REFERENCE, CLEAN, DRIFTED = RNG.random(5000), RNG.random(50_000), 0.8 + 0.4 * RNG.random(2000)


def monitor(**sections: Any) -> MonitorConfig:
    given = {
        "name": "cifar10",
        "input": {"topic": "events"},
        "detector": "models/cifar10",
        "window": {"size": 50},
        "dead_letters": {"topic": "rejected"},
        **sections,
    }
    given["alerts"] = {"topic": "alerts", **given.get("alerts", {})}
    return MonitorConfig.model_validate(given)


def test_intervals_are_the_exact_ones() -> None:
    exact = stats.binomtest(7, 90).proportion_ci(0.95, method="exact")
    assert share_interval(7, 90) == pytest.approx((7 / 90, exact.low, exact.high))
    assert share_interval(0, 10)[:2] == (0.0, 0.0)
    assert share_interval(10, 10)[::2] == (1.0, 1.0)
    # Four alarms: a Poisson mean of 1.0899 to 10.2416 in Garwood's table.
    assert count_interval(4, 1000) == pytest.approx((250, 1000 / 10.2416, 1000 / 1.0899), rel=1e-4)
    none = count_interval(0, 1000)
    assert (none.value, none.high) == (math.inf, math.inf)
    assert none.low == pytest.approx(1000 / 3.6889, rel=1e-4)
    values = np.array([11.0, 12.0, 14.0])
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    assert mean_interval(values) == pytest.approx((37 / 3, low, high))
    assert mean_interval(values - 10.0)[:2] == pytest.approx((7 / 3, 0.0))


@pytest.mark.parametrize(("size", "hop"), [(50, 50), (60, 20), (10, 1)])
def test_windows_are_those_that_a_worker_closes(size: int, hop: int) -> None:
    scores = RNG.random(537)
    rehearsal = Rehearsal(Role.of(monitor(window={"size": size, "hop": hop}), REFERENCE), "stream")
    closed = [window for part in np.split(scores, [3, 70, 71, 400]) for window in _closed(rehearsal, part)]
    n = len(scores)
    rows = ScoredRows(
        scores.astype(np.float32), np.zeros(n, np.int32), np.arange(n), np.arange(n), np.arange(n), None
    )
    counted = MemoryWindowStore(WindowPolicy(size, hop, examples=0)).append(Batch(rows, None, {0: n}))
    assert counted is not None
    assert [w.sequence for w in closed] == [w.sequence for w in counted.closed]
    assert [w.pane for w in closed] == [w.pane for w in counted.closed]
    for window, expected in zip(closed, counted.closed, strict=True):
        np.testing.assert_array_equal(window.scores, expected.scores)


def _closed(rehearsal: Rehearsal, scores: np.ndarray) -> list[Any]:
    windows = rehearsal._close(scores.astype(np.float32))
    rehearsal.events += len(scores)
    rehearsal.drifted += [False] * len(windows)
    return windows


def test_a_kept_promise_is_measured_as_kept() -> None:
    found = Calibration(monitor(test={"p_val": 0.05}), REFERENCE, CLEAN).false_alarms(4000)
    assert (found.windows, found.events) == (4000, 200_000)
    assert found.drifted.value == pytest.approx(0.05, abs=0.02)
    assert found.drifted.low < found.drifted.value < found.drifted.high
    assert found.run_time.value == pytest.approx(1 / found.drifted.value)
    assert found.p_values.size == 4000


def test_alerts_follow_the_alert_policy() -> None:
    test = {"p_val": 0.2}
    calibration = Calibration(monitor(test=test), REFERENCE, CLEAN)
    strict = Calibration(monitor(test=test, alerts={"raise_after": 3}), REFERENCE, CLEAN)
    once, thrice = calibration.false_alarms(3000), strict.false_alarms(3000)
    assert once.drifted == thrice.drifted
    # Three drifted windows in a row begin once in 1 / (0.2^3 0.8) windows.
    assert thrice.windows_per_alert.value == pytest.approx(156, rel=0.5)
    assert once.windows_per_alert.value < 10
    assert once.events_per_alert.value == pytest.approx(50 * once.windows_per_alert.value)


@pytest.mark.parametrize(
    "sections",
    [
        {"window": {"size": 50, "hop": 10}, "test": {"expected_run_time": 100}},
        {"window": {"size": 100, "hop": 10}, "test": {"name": "rank_cusum", "expected_run_time": 100}},
    ],
)
def test_overlapping_windows_keep_their_run_time(sections: dict[str, Any]) -> None:
    found = Calibration(monitor(**sections), REFERENCE, CLEAN, seed=3).false_alarms(8000)
    assert found.run_time.value == pytest.approx(100, rel=0.4)
    assert found.drifted.value > 1.2 / found.run_time.value


def test_a_false_discovery_rate_leaves_clean_windows_alone() -> None:
    found = Calibration(monitor(test={"fdr": 0.05}), REFERENCE, CLEAN).false_alarms(2000)
    assert found.drifted.value < 0.002


def test_the_seed_decides_everything_that_is_drawn() -> None:
    def figures(seed: int) -> tuple[Any, ...]:
        calibration = Calibration(monitor(), REFERENCE, CLEAN, seed)
        clean = calibration.false_alarms(300)
        return clean.p_values.tolist(), calibration.delay(DRIFTED, 0.5, 5)

    assert figures(4) == figures(4)
    assert figures(4) != figures(5)


def test_the_more_drift_the_sooner_it_is_seen() -> None:
    calibration = Calibration(monitor(test={"p_val": 0.001}), REFERENCE, CLEAN)
    faint, strong, full = (calibration.delay(DRIFTED, share, 20) for share in (0.2, 0.5, 1.0))
    assert faint.events.value > strong.events.value >= full.events.value
    assert full.detected == pytest.approx((1.0, 0.832, 1.0), abs=0.001)
    # The window in which drift begins, at a random place, or the one after it.
    assert 1.0 <= full.windows.value <= 2.0
    assert 20 < full.events.value < 100
    assert full.slowest_events <= 100


def test_drift_that_cannot_be_seen_is_reported_as_such() -> None:
    calibration = Calibration(monitor(test={"p_val": 1e-9}), REFERENCE, CLEAN)
    unseen = calibration.delay(CLEAN[:1000], 1.0, 2)
    assert (unseen.detected.value, unseen.events, unseen.slowest_events) == (0.0, None, None)


def test_a_clean_sample_that_has_drifted_is_refused_for_delays() -> None:
    with pytest.raises(SetupError, match="clean sample is not like the reference"):
        Calibration(monitor(), REFERENCE, 1 + CLEAN).delay(DRIFTED, 0.5, 2)


def test_the_luck_of_a_reference_is_told_where_it_is_known() -> None:
    sentence = spread_over_references(monitor(test={"p_val": 0.05}), 500)
    assert sentence is not None
    assert "nine of ten" in sentence
    assert spread_over_references(monitor(window={"size": 400}), 500) is None


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config with a bundle, and samples in files, in the current directory."""
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path / "bundle", with_teacher=False)
    rng = np.random.default_rng(2)
    np.save("clean.npy", rng.exponential(size=3000))
    np.save("drifted.npy", 2 + rng.exponential(size=500))
    section = {
        "name": "churn",
        "input": {"topic": "events"},
        "detector": "bundle",
        "window": {"size": 20},
        "test": {"expected_run_time": 5},
        "alerts": {"topic": "alerts", "raise_after": 1, "raise_within": 2, "cooldown_seconds": 5},
        "dead_letters": {"topic": "rejected"},
    }
    whole = {
        "kafka": {"bootstrap.servers": "localhost:9092"},
        "redis": {"url": "redis://localhost"},
        "monitors": [section],
    }
    Path("monitor.yaml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    return Path("monitor.yaml")


@pytest.mark.usefixtures("config")
class TestCommand:
    """``drift-monitor calibrate``."""

    few = ("--windows", 500, "--episodes", 4)

    def test_tables_show_promise_measurement_and_delay(self) -> None:
        result = run("calibrate", "-c", "monitor.yaml", "clean.npy", "--drifted", "drifted.npy", *self.few)
        assert result.exit_code == 0, result.stderr
        lines = result.stdout.splitlines()
        assert lines[0] == "churn: 500 clean windows, 10,000 events"
        promised = next(line for line in lines if line.startswith("windows for each false alarm"))
        assert promised.split()[5] == "5"
        assert "raised after 1 of 2" in result.stdout
        assert [
            line.split()[0] for line in lines if "%  100%" in " ".join(line.split()).replace("% 1", "%  1")
        ]
        assert "3,000 scores with replacement" in result.stdout
        assert "cool-down is left out" in result.stdout
        assert max(map(len, lines[: lines.index("")])) <= 80

    def test_json_and_plot(self) -> None:
        arguments = ("calibrate", "-c", "monitor.yaml", "clean.npy", "--drifted", "drifted.npy", *self.few)
        result = run(*arguments, "--json", "--plot", "picture.png")
        assert result.exit_code == 0, result.stderr
        found = json.loads(result.stdout)
        assert found["promise"] == {"expected_run_time": 5.0}
        value, low, high = found["windows_per_false_alarm"]
        assert low < value < high
        assert [delay["drifted_share"] for delay in found["delays"]] == [0.1, 0.2, 0.3, 0.5, 1.0]
        assert Path("picture.png").read_bytes().startswith(b"\x89PNG")
        assert json.loads(run(*arguments, "--json").stdout) == found

    def test_instances_are_scored_by_the_detector(self) -> None:
        rng = np.random.default_rng(3)
        predictions = rng.dirichlet(np.ones(N_CLASSES), 400).astype(np.float32)
        instances = rng.normal(size=(400, N_FEATURES)).astype(np.float32)
        np.savez("clean.npz", instances=instances, predictions=predictions)
        result = run("calibrate", "-c", "monitor.yaml", "clean.npz", *self.few)
        assert result.exit_code == 0, result.stderr
        np.save("instances.npy", instances)
        result = run("calibrate", "-c", "monitor.yaml", "instances.npy")
        assert result.exit_code == 2
        assert "instances without predictions" in complaints(result)[0]

    def test_the_reference_itself_is_no_clean_sample(self) -> None:
        scores = np.random.default_rng(0).exponential(size=200)
        np.save("same.npy", scores)
        result = run("calibrate", "-c", "monitor.yaml", "same.npy", "--windows", 100)
        assert "100% of the clean scores are in the reference" in " ".join(result.stdout.split())

    @pytest.mark.parametrize(
        ("scores", "complaint"),
        [
            (np.ones(99), "CLEAN: clean.npy holds 99 scores; at least 100 are needed to measure anything."),
            (np.full(200, np.nan), "CLEAN: clean.npy holds a score that is NaN or infinite."),
        ],
    )
    def test_samples_that_tell_nothing_are_refused(self, scores: np.ndarray, complaint: str) -> None:
        np.save("clean.npy", scores)
        result = run("calibrate", "-c", "monitor.yaml", "clean.npy")
        assert (result.exit_code, complaints(result)) == (2, [complaint])

    def test_an_unknown_array_in_an_npz_file_is_named(self) -> None:
        np.savez("clean.npz", a=np.ones(200), b=np.ones(200))
        result = run("calibrate", "-c", "monitor.yaml", "clean.npz")
        assert result.exit_code == 2
        assert complaints(result) == [
            "CLEAN: clean.npz holds a, b; it must hold 'scores', or 'instances' and 'predictions'."
        ]

    def test_instances_of_another_shape_are_named(self) -> None:
        np.savez("clean.npz", X=np.ones((200, 7)), predictions=np.full((200, 2), 0.5))
        result = run("calibrate", "-c", "monitor.yaml", "clean.npz")
        assert result.exit_code == 2
        assert complaints(result)[0].startswith("CLEAN: clean.npz has shape (200, 7); it must be (n, ")

    def test_a_place_that_is_not_there_is_told_before_the_work(self) -> None:
        result = run("calibrate", "-c", "gone.yaml", "clean.npy", "--plot", "gone/x.png")
        assert result.exit_code == 2
        (complaint,) = complaints(result)
        assert complaint.startswith("--plot: gone/x.png cannot be written; there is no directory /")

    def test_without_matplotlib_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        result = run("calibrate", "-c", "monitor.yaml", "clean.npy", "--plot", "x.png")
        assert result.exit_code == 2
        assert "pip install 'drift-monitor[plots]'" in complaints(result)[0]
