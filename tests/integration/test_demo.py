"""``drift-monitor demo``: the main job on embedded servers, as a new user sees it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_demo_keeps_its_promise_within_a_minute():
    ran = subprocess.run(
        [sys.executable, "-m", "monitor.cli.main", "demo", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout.splitlines()[-1])
    phases = {phase["name"]: phase for phase in summary["phases"]}
    assert summary["as_promised"]
    assert summary["seconds"] < 60
    assert phases["clean"]["alerts"] == phases["harmless change"]["alerts"] == []
    assert phases["harmful noise"]["alerts"] == ["detected"]
    assert phases["clean again"]["alerts"] == ["resolved"]
    assert "As promised." in ran.stderr
    assert "drift-monitor demo --dashboard" in ran.stderr
    assert "Traceback" not in ran.stderr
