"""An installation on a machine that has no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_without_a_compiler_the_installation_goes_on_with_python_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in listed.stdout.splitlines():
        if path.startswith(("detectors", "streams", "monitor", "pyproject.toml", "README.md", "LICENSE")):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, source / path)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    no_compiler = {name: str(tmp_path / "none") for name in ("CC", "CXX")}
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(source)],
        check=True,
        env={**os.environ, **no_compiler},
    )

    assert (target / "streams" / "codecs" / "json" / "scanner.pyx").is_file()
    assert not list((target / "streams").rglob("*.so"))
    reads = (
        "from streams.codecs.json.codec import JsonCodec\n"
        "from streams.codecs.json import column_scanner\n"
        "from streams.parts import places\n"
        "from streams.events import EventSchema\n"
        "JsonCodec(EventSchema((1,), 2))\n"
        "print(column_scanner.MISSING, places.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", reads],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        check=True,
    )
    assert "scanner" in done.stdout
    assert "plain_parts" in done.stdout
