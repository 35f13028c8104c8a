"""What is fuzzed: each subject takes a recipe, and raises only on a defect of the product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol


@dataclass
class Tally:
    """What became of the inputs of a recipe.

    Attributes
    ----------
    inputs
        Inputs that were made.
    accepted
        Those that were taken.
    waiting
        Those that are good, but wait for the rest.
    rejected
        Those that were refused, by reason.
    """

    inputs: int = 0
    accepted: int = 0
    waiting: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add what became of more inputs."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.waiting += other.waiting
        self.rejected += other.rejected


class Subject(Protocol):
    """A part of the product that takes input from strangers."""

    recipe_bytes: int
    """Length of a recipe that makes a good portion of inputs."""

    def run(self, recipe: bytes) -> Tally:
        """Make inputs by a recipe and give them to the product; fails on a defect."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


def _codec(name: str) -> Subject:
    from tests.fuzz.codecs import codec_subject

    return codec_subject(name)


def _config() -> Subject:
    from tests.fuzz.config import ConfigSubject

    return ConfigSubject()


def _bundle() -> Subject:
    from tests.fuzz.bundle import BundleSubject

    return BundleSubject()


CODECS = ("json", "tensor", "oip", "cloudevents", "pairs", "avro", "json_schema", "msgpack")
SUBJECTS: Mapping[str, Callable[[], Subject]] = {
    **{name: partial(_codec, name) for name in CODECS},
    "config": _config,
    "bundle": _bundle,
}
SLOWER: Mapping[str, int] = {"config": 50, "bundle": 500}
"""Of these, so many times fewer inputs are made: a file is read and checked as a whole for each."""
