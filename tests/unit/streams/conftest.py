"""What tests of codecs share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.codecs_in_python import without_scanner

COMPILED = ("streams.codecs.json.scanner", "streams.codecs.oip.scanner", "streams.record_parts")


@pytest.fixture(scope="module")
def compiled() -> None:
    """Skip where anything could not be compiled, which is allowed on a user's machine only."""
    missing = [name for name in COMPILED if find_spec(name) is None]
    if missing:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"Not all is compiled: {missing}")


@pytest.fixture(scope="module", params=["scanned", "parsed"])
def way_of_reading(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have JSON read by the compiled scanner and then without it."""
    if request.param == "scanned":
        request.getfixturevalue("compiled")
        yield
        return
    with without_scanner():
        yield
