"""The environment of the other libraries, which need an older TensorFlow and numpy than ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONTENDERS = Path(__file__).parent / "contenders"
ENVIRONMENT = Path(__file__).resolve().parents[3] / ".cache" / "benchmarks" / "rivals"
NEWEST_PYTHON = (3, 11)
"""The newest that TensorFlow 2.14 runs on."""


def rivals_python(environment: Path, python: str | None) -> Path:
    """Make the environment unless it is there; returns its interpreter."""
    interpreter = environment / "bin" / "python"
    if not interpreter.exists():
        if python is None and sys.version_info[:2] > NEWEST_PYTHON:
            raise SystemExit("alibi-detect's TensorFlow needs Python 3.9 to 3.11; name one with --python.")
        print(f"Installing alibi-detect, Quix Streams and Faust into {environment}.", flush=True)
        subprocess.run([python or sys.executable, "-m", "venv", environment], check=True)
        install = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", CONTENDERS / "requirements.txt"], check=True)
    return interpreter
