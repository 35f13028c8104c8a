"""What it takes to run Apache Kafka: a Java that is new enough, and the broker's jars from Maven."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from tests.servers.process import ServerError

REPO = Path(__file__).resolve().parents[2]
POM = REPO / "tests" / "kafka" / "pom.xml"
LOG_CONFIG = REPO / "tests" / "kafka" / "log4j2.properties"
JAVA_MINIMUM = 17
"""Brokers of Kafka 4 need Java 17; clients alone would do with 11."""


def java_executable() -> str | None:
    """Return the path of ``java``, that of ``JAVA_HOME`` first."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")


@cache
def missing() -> str | None:
    """Say in a sentence why Apache Kafka cannot be run here; None when it can."""
    java = java_executable()
    if java is None:
        return "there is no java on the PATH"
    found = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', found.stderr)
    if version is None or int(version[1]) < JAVA_MINIMUM:
        return f"{java} is older than Java {JAVA_MINIMUM}, which Apache Kafka 4 needs"
    if not jar_directory().exists() and shutil.which("mvn") is None:
        return "there is no mvn (Maven) on the PATH to get Apache Kafka with"
    return None


def jar_directory() -> Path:
    """Return where the jars of the current ``pom.xml`` are kept; another pom has another directory."""
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()
    return REPO / ".cache" / "kafka" / digest[:16]


def class_path() -> str:
    """Return the class path of the broker; gets the jars with Maven when they are not there yet.

    Raises
    ------
    ServerError
        If Maven cannot get them; the message ends with what it said.
    """
    jars = jar_directory()
    if not jars.exists():
        _fetch(jars)
    return str(jars / "*")


def _fetch(jars: Path) -> None:
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetching-") as scratch:
        command = [
            "mvn",
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            f"--file={POM}",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            f"-DoutputDirectory={scratch}/jars",
        ]
        got = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if got.returncode != 0:
            said = (got.stdout + got.stderr)[-3000:]
            raise ServerError(f"Maven could not get Apache Kafka as {POM} names it. It said:\n{said}")
        try:
            Path(scratch, "jars").rename(jars)
        except OSError:
            # Another test run was quicker; its jars are the same.
            if not jars.exists():
                raise
