"""What tests of codecs share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from streams.codecs.json import column_scanner
from tests.codecs_in_python import without_scanner


@pytest.fixture(scope="module")
def compiled() -> None:
    """Skip where the scanner of JSON could not be compiled, which is allowed on a user's machine only."""
    missing = column_scanner.MISSING
    if missing is not None:
        (pytest.fail if "CI" in os.environ else pytest.skip)(f"The scanner is not compiled: {missing}")


@pytest.fixture(scope="module", params=["scanned", "parsed"])
def way_of_reading(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have JSON read by the compiled scanner and then without it."""
    if request.param == "scanned":
        request.getfixturevalue("compiled")
        yield
        return
    with without_scanner():
        yield
