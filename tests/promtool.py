"""Prometheus' own judge of metrics and rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def promtool(*arguments: str | Path, given: bytes | None = None) -> str:
    """Run promtool and return what it says; fails the test where promtool objects.

    Skips the test where there is no promtool, which in CI is an error: ``.ci/run`` fetches it.
    """
    program = shutil.which("promtool")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is required with CI set, but it is not on the PATH", pytrace=False)
        pytest.skip("needs promtool, which comes with Prometheus")
    done = subprocess.run([program, *map(str, arguments)], input=given, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said
