"""What tests of codecs share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from streams import plain_parts
from streams.codecs.json import column_scanner
from streams.parts import places
from tests.codecs_in_python import without_scanner


@pytest.fixture(scope="module")
def compiled() -> None:
    """Skip where anything could not be compiled, which is allowed on a user's machine only."""
    missing = column_scanner.MISSING or ("no record_parts" if places is plain_parts.places else None)
    if missing is not None:
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
