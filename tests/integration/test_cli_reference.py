"""``drift-monitor reference`` against a real Redis."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli_setup import Deployment, complaints, deployment, run, write_bundle


@pytest.fixture
def config(tmp_path, redis_url) -> Deployment:
    write_bundle(tmp_path / "bundle")
    np.save(tmp_path / "other.npy", np.linspace(0, 1, 300))
    return deployment(tmp_path, "127.0.0.1:9", redis_url)


def stored(config: Deployment) -> list[dict]:
    result = run("reference", "list", "-c", config.path, "--json")
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def in_force(config: Deployment) -> str:
    (version,) = [reference["version"] for reference in stored(config) if reference["in_force"]]
    return version


def test_the_first_push_is_in_force_and_later_ones_are_not(config, tmp_path):
    first = run("reference", "push", "-c", config.path)
    assert first.exit_code == 0, first.stderr
    assert "200 scores, in force" in first.stdout
    before = in_force(config)
    second = run("reference", "push", "-c", config.path, "--file", tmp_path / "other.npy")
    assert "put it in force with: drift-monitor reference promote sha256:" in second.stdout
    assert in_force(config) == before
    assert sorted(reference["size"] for reference in stored(config)) == [200, 300]


def test_promote_and_rollback_switch_what_is_in_force(config, tmp_path):
    run("reference", "push", "-c", config.path)
    original = in_force(config)
    pushed = run("reference", "push", "-c", config.path, "--file", tmp_path / "other.npy", "--promote")
    assert "300 scores, in force" in pushed.stdout
    promoted = in_force(config)
    assert promoted != original
    back = run("reference", "rollback", "-c", config.path)
    assert (back.exit_code, back.stdout) == (0, f"churn: {original} is in force again\n")
    again = run("reference", "promote", promoted[:15], "-c", config.path)
    assert (again.exit_code, again.stdout) == (0, f"churn: {promoted} is in force\n")
    assert in_force(config) == promoted


def test_pushing_the_same_scores_twice_stores_them_once(config):
    for _ in range(2):
        assert run("reference", "push", "-c", config.path).exit_code == 0
    assert len(stored(config)) == 1


def test_the_list_reads_well(config):
    empty = run("reference", "list", "-c", config.path)
    assert empty.stdout.startswith("No reference is stored")
    run("reference", "push", "-c", config.path)
    heading, row = run("reference", "list", "-c", config.path).stdout.splitlines()
    assert heading.split() == ["monitor", "version", "scores", "mean", "stored"]
    assert row.split()[:3] == ["churn", in_force(config)[:19], "200"]
    assert row.rstrip().endswith("in force")


def test_there_must_be_something_to_roll_back_to(config):
    run("reference", "push", "-c", config.path)
    result = run("reference", "rollback", "-c", config.path)
    assert result.exit_code == 1
    assert complaints(result) == ["Monitor 'churn' had no other reference in force to go back to."]


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("sha256:00", "Monitor 'churn' has no stored reference sha256:00; see 'reference list'."),
        ("sha256:", "2 stored references of monitor 'churn' begin with sha256:; give more of it."),
    ],
)
def test_promote_needs_one_stored_version(config, tmp_path, version, message):
    run("reference", "push", "-c", config.path)
    run("reference", "push", "-c", config.path, "--file", tmp_path / "other.npy")
    result = run("reference", "promote", version, "-c", config.path)
    assert (result.exit_code, complaints(result)) == (2, [message])


def test_scores_that_are_no_reference_are_refused(config, tmp_path):
    np.save(tmp_path / "bad.npy", np.array([0.1, np.nan, 0.3]))
    result = run("reference", "push", "-c", config.path, "--file", tmp_path / "bad.npy")
    assert (result.exit_code, complaints(result)) == (
        2,
        ["reference holds NaN or infinity; every score must be finite."],
    )
    assert stored(config) == []


def test_a_bundle_without_reference_has_nothing_to_push(config, tmp_path):
    write_bundle(tmp_path / "bare", reference=None)
    config.monitor["detector"] = "bare"
    result = run("reference", "push", "-c", config.path)
    assert result.exit_code == 2
    assert "holds no reference; build one with 'drift-monitor reference build'." in complaints(result)[0]


def test_a_wrong_password_is_told_before_anything_else(config, new_redis):
    server = new_redis({"requirepass": "right"})
    config.redis = {"url": f"redis://127.0.0.1:{server.port}/0", "password": "wrong"}
    result = run("reference", "list", "-c", config.path)
    assert result.exit_code == 2
    assert "refused the user name or password" in complaints(result)[0]


def test_a_monitor_that_is_not_in_the_config_is_told_with_the_nearest(config):
    result = run("reference", "rollback", "-c", config.path, "--monitor", "chrun")
    assert (result.exit_code, complaints(result)) == (
        2,
        ["The config has no monitor 'chrun'; did you mean 'churn'?"],
    )
