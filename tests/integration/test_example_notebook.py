"""The example notebook runs as it stands, from a classifier to an alert of the deployed worker."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from monitor.demo.embedded import redis_executable
from monitor.errors import MonitorError

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "example.ipynb"
CELL_SECONDS = 180
STOP_SECONDS = 10


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    try:
        redis_executable()
    except MonitorError as error:
        pytest.skip(str(error))
    for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"):
        directory = tmp_path / variable.lower()
        directory.mkdir()
        monkeypatch.setenv(variable, str(directory))
    return nbformat.read(NOTEBOOK, as_version=4)


def printed(notebook: Any) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output.get("name") == "stdout")


def figures(notebook: Any) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_ends_with_an_alert_and_its_resolution(notebook: Any, tmp_path: Path) -> None:
    shown = copy.deepcopy(notebook)

    NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3").execute()

    alerts = [
        line.split(":")[0] for line in printed(notebook).splitlines() if line.startswith("drift-monitor.")
    ]
    assert alerts == ["drift-monitor.drift.detected.v1", "drift-monitor.drift.resolved.v1"]
    assert figures(notebook) == 3
    assert not list((tmp_path / "tmpdir").glob("drift-monitor-*")), "it leaves files behind"
    # What readers see in the repository is what they will get.
    shown_alerts = [
        line.split(":")[0] for line in printed(shown).splitlines() if line.startswith("drift-monitor.")
    ]
    assert shown_alerts == alerts
    assert figures(shown) == 3


def test_a_cell_that_fails_leaves_no_server_running(notebook: Any, tmp_path: Path) -> None:
    at = next(number for number, cell in enumerate(notebook.cells) if "EmbeddedRedis" in cell.source)
    servers = notebook.cells[at]
    fault = nbformat.v4.new_code_cell("print(redis._process.pid)\nraise RuntimeError('a fault')")
    notebook.cells = [servers, fault]

    with pytest.raises(CellExecutionError, match="a fault"):
        NotebookClient(notebook, timeout=CELL_SECONDS, kernel_name="python3").execute()

    pid = int(printed(notebook))
    deadline = time.monotonic() + STOP_SECONDS
    while is_running(pid):
        assert time.monotonic() < deadline, f"Redis {pid} outlives the notebook"
        time.sleep(0.05)
