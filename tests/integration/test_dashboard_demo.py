"""``drift-monitor demo --dashboard``: the page beside the running demo, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest

SECONDS = 120.0


def segment(url: str) -> Any:
    with urllib.request.urlopen(f"{url}api/segment?monitor=digits&segment=all", timeout=10) as response:
        return json.load(response)


@pytest.mark.slow
def test_dashboard_stays_open_on_the_running_demo():
    command = [sys.executable, "-u", "-m", "monitor.cli.main", "demo", "--dashboard", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        try:
            told = []
            for line in demo.stderr:
                told.append(line)
                if "until Ctrl-C" in line:
                    break
            (url,) = (line.split()[-1] for line in told if line.startswith("Live on the dashboard:"))
            after_the_story = segment(url)
            alerts = [alert for alert in after_the_story["verdicts"]["alert"] if alert]
            assert alerts == ["detected", "resolved"]
            # Events have names that tell which were harmed.
            assert after_the_story["last"]["examples"][0]["id"].startswith(
                ("clean-", "harmless-", "harmful-")
            )

            deadline = time.monotonic() + SECONDS
            while (
                len(segment(url)["verdicts"]["sequence"]) < len(after_the_story["verdicts"]["sequence"]) + 2
            ):
                assert time.monotonic() < deadline, "the traffic does not go on"
                time.sleep(0.2)
            demo.send_signal(signal.SIGINT)
            output, errors = demo.communicate(timeout=SECONDS)
        finally:
            demo.kill()
    assert (demo.returncode, errors) == (0, "")
    assert json.loads(output.splitlines()[-1])["as_promised"]
