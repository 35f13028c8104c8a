"""What the Dockerfile copies is enough to build from, and what it installs can do what it runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.traffic import TinyDetector
from tests.workers import monitor_config

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
BUILD_STAGE = DOCKERFILE.split("\nFROM ")[1]

HAS_ALL = """
import sys
from importlib import resources
from importlib.metadata import distribution
import monitor, detectors, streams
for package in (monitor, detectors, streams):
    assert package.__file__.startswith(sys.prefix), package.__file__
for package, path in (line.split() for line in sys.stdin):
    assert resources.files(package).joinpath(path).is_file(), path
for point in distribution("drift-monitor").entry_points:
    if not point.extras:
        point.load()
"""


def in_container(path: str, root: Path) -> Path:
    """Return where a path of the container is here."""
    return root / path.lstrip("/")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Carry out the build stage, with the dependencies of this Python, and return the virtual environment."""
    root = tmp_path_factory.mktemp("container")
    for line in re.findall(r"^COPY (.+)$", BUILD_STAGE, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source, in_container(target, root), ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                in_container(target, root).mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, in_container(target, root))
    runs = [
        shlex.split(re.sub(r"--mount=\S+ ", "", line))
        for line in re.findall(r"^RUN (.+)$", BUILD_STAGE, re.MULTILINE)
    ]
    (compiler, making, (pip, *installing)) = runs
    assert compiler[0] == "apt-get"  # of the container's system, which this one is not
    assert making[:-1] == ["python", "-m", "venv"]
    environment = in_container(making[-1], root)
    subprocess.run([sys.executable, *making[1:-1], "--without-pip", str(environment)], check=True)
    assert in_container(pip, root) == environment / "bin" / "pip"
    (site,) = environment.glob("lib/python*/site-packages")
    # Dependencies are found; a project installed among them as editable is not, since its .pth is not read.
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    offline = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed"]
    arguments = [str(in_container(word, root)) if word.startswith("/") else word for word in installing]
    subprocess.run(
        [environment / "bin" / "python", "-m", "pip", *arguments, *offline], check=True, env=clean(root)
    )
    return environment


def clean(home: Path) -> dict[str, str]:
    """Return variables by which nothing of this Python is found."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return {**kept, "HOME": str(home), "PYTHONNOUSERSITE": "1"}


def test_all_code_and_data_come_from_what_was_installed(program: Path, tmp_path: Path) -> None:
    packages = ("monitor", "detectors", "streams")
    listing = ["git", "ls-files", *packages]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    data = [path.split("/", 1) for path in listed.stdout.split() if not path.endswith(".py")]
    assert {path.rpartition(".")[2] for _, path in data} >= {"lua", "json", "pyi", "pyx"}
    found = subprocess.run(
        [program / "bin" / "python", "-c", HAS_ALL],
        input="\n".join(map(" ".join, data)),
        cwd=tmp_path,
        env=clean(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_the_health_check_finds_that_a_worker_could_start(
    program: Path, tmp_path: Path, kafka, redis_url: str, topic: Callable[..., str]
) -> None:
    topics = {name: topic(name) for name in ("events", "alerts", "rejected")}
    detector = TinyDetector(tmp_path / "tiny")
    config = tmp_path / "monitor.yaml"
    config.write_text(yaml.safe_dump(monitor_config(kafka.bootstrap, redis_url, detector.path, topics)))
    (entry,) = json.loads(re.findall(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)[0])
    called, _ = (json.loads(words) for words in re.findall(r"^ *CMD (\[.*\])$", DOCKERFILE, re.MULTILINE))
    assert called[0] == entry
    words = [str(config) if word.endswith("monitor.yaml") else word for word in called[1:]]
    checked = subprocess.run(
        [program / "bin" / entry, *words],
        cwd=tmp_path,
        env=clean(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "may be joined" in checked.stdout or not kafka.real
