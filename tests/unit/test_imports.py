"""What importing a package brings along: the ground floor's two halves stay apart, and light."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

LOADED = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def modules_of(package: str) -> list[str]:
    path = import_module(package).__path__
    return [package, *(found.name for found in pkgutil.walk_packages(path, f"{package}."))]


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("detectors", {"monitor", "streams", "confluent_kafka", "redis"}),
        ("streams", {"monitor", "detectors", "tensorflow", "keras", "scipy"}),
    ],
)
def test_a_package_does_not_load_what_it_has_no_business_with(package, unwanted) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *modules_of(package)], capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert package in loaded
    assert loaded & unwanted == set()
