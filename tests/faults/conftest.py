"""Servers, a detector and a stream that the tests with killed and frozen workers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.story import Place, Tails, tails
from tests.traffic import TinyDetector


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    """A detector whose scores are known."""
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def place(kafka, redis_url: str, tiny_detector: TinyDetector) -> Place:
    """Topics of the test's own on the servers of the session."""
    return Place.prepare(kafka.bootstrap, redis_url, tiny_detector.path)


@pytest.fixture
def tail(place: Place) -> Iterator[Tails]:
    """What arrives in the place's alert and dead-letter topics."""
    with tails(place) as opened:
        yield opened
