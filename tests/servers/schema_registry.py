"""A real schema registry for tests: Apicurio, which speaks Confluent's API, from Maven Central."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tests.servers.kafka_jars import REPO, java_executable
from tests.servers.ports import HOST, free_ports
from tests.servers.process import ServerError, ServerProcess

VERSION = "2.6.13.Final"
"""The last release that runs on Java 17; it keeps schemas in memory."""
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
UNPACK = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack"
START_SECONDS = 120.0


class SchemaRegistry:
    """Apicurio on a free loopback port, empty at first.

    Attributes
    ----------
    url
        Base of its Confluent-compatible API.
    """

    def __init__(self) -> None:
        (port,) = free_ports(1)
        self.url = f"http://{HOST}:{port}/apis/ccompat/v7"
        self._directory = Path(tempfile.mkdtemp(prefix="schema-registry-"))
        self._process = ServerProcess("The schema registry", _command(port), self._directory / "log")

    def start(self) -> SchemaRegistry:
        """Start it; returns itself."""
        self._process.start(self._answers, START_SECONDS)
        return self

    def register(self, subject: str, schema: str, schema_type: str = "AVRO") -> int:
        """Register a schema and return its number."""
        body = json.dumps({"schema": schema, "schemaType": schema_type}).encode()
        return int(self._ask(f"/subjects/{subject}/versions", body)["id"])

    def freeze(self) -> None:
        """Let it answer nothing any more."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let it answer again."""
        self._process.thaw()

    def close(self) -> None:
        """End it and remove what it left."""
        self._process.thaw()
        self._process.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self._ask("/subjects")
        except (URLError, OSError):
            return False
        return True

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        kind = "application/vnd.schemaregistry.v1+json"
        with urlopen(Request(self.url + path, body, {"Content-Type": kind}), timeout=10) as answer:
            return json.load(answer)


def _command(port: int) -> list[str]:
    java = java_executable()
    assert java is not None
    runner = _application() / f"apicurio-registry-app-{VERSION}-runner.jar"
    options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Dquarkus.http.host={HOST}"]
    return [java, *options, f"-Dquarkus.http.port={port}", "-jar", str(runner)]


def _application() -> Path:
    """Return the directory of the application; gets it with Maven when it is not there yet."""
    directory = REPO / ".cache" / "schema-registry" / VERSION
    if directory.exists():
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetching-") as scratch:
        command = ["mvn", "--batch-mode", "--quiet", "--strict-checksums", UNPACK]
        command += [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}/application"]
        # Maven leaves a note of what it unpacked where it runs, and would not unpack it there again.
        got = subprocess.run(
            command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if got.returncode != 0:
            said = (got.stdout + got.stderr)[-3000:]
            raise ServerError(f"Maven could not get {ARTIFACT}. It said:\n{said}")
        try:
            os.rename(f"{scratch}/application", directory)
        except OSError:
            # Another test run was quicker; its files are the same.
            if not directory.exists():
                raise
    return directory
