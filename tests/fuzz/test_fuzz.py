"""The short form of ``python -m tests.fuzz``, and that a defect would not go unnoticed."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.codecs.json.codec import JsonCodec
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch
from tests.fuzz.campaign import campaign
from tests.fuzz.codecs import CodecSubject
from tests.fuzz.config import ConfigSubject
from tests.fuzz.seeds import SHAPE, json_seeds
from tests.fuzz.subjects import CODECS, SUBJECTS, Subject, Tally

PORTIONS = {"config": 30, "bundle": 6}
"""Recipes at random, of the length that the long form has; 3 for the others."""
SCHEMA = EventSchema(SHAPE, 2)

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def subject() -> Iterator[Callable[[str], Subject]]:
    opened: dict[str, Subject] = {}

    def get(name: str) -> Subject:
        if name not in opened:
            opened[name] = SUBJECTS[name]()
        return opened[name]

    yield get
    for one in opened.values():
        one.close()


@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_inputs_are_accepted_or_rejected(subject: Callable[[str], Subject], name: str) -> None:
    rng, tally = random.Random(5), Tally()
    for _ in range(PORTIONS.get(name, 3)):
        tally.add(subject(name).run(rng.randbytes(subject(name).recipe_bytes)))

    assert tally.inputs == tally.accepted + tally.waiting + tally.rejected.total()
    assert tally.rejected
    assert tally.accepted


@pytest.mark.parametrize("name", [*CODECS, "config"])
def test_any_recipe_is_accepted_or_rejected(subject: Callable[[str], Subject], name: str) -> None:
    @few
    @given(recipe=st.binary(max_size=60))
    def check(recipe: bytes) -> None:
        tally = subject(name).run(recipe)
        assert tally.inputs == tally.accepted + tally.waiting + tally.rejected.total()

    check()


@pytest.mark.parametrize("name", CODECS)
def test_undamaged_records_are_good(subject: Callable[[str], Subject], name: str) -> None:
    found = subject(name)
    assert isinstance(found, CodecSubject)
    tally = found.decode(found.valid)

    assert not tally.rejected


def test_the_undamaged_config_is_good(subject: Callable[[str], Subject]) -> None:
    assert subject("config").run(b"\1\0") == Tally(1, accepted=1)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.text(max_size=5) | st.sampled_from(
    [
        "kafka",
        "redis",
        "worker",
        "monitors",
        "url",
        "name",
        "input",
        "topic",
        "window",
        "size",
        "hop",
        "test",
        "p_val",
        "fdr",
        "alternative",
        "alerts",
        "detector",
        "dead_letters",
        "fields",
        "bootstrap.servers",
        "sasl.password",
        "error_cb",
        "prefix",
    ]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@few
@given(data=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_values_in_a_config_are_good_or_refused(
    subject: Callable[[str], Subject], data: dict[str, object]
) -> None:
    loader = subject("config")
    assert isinstance(loader, ConfigSubject)
    assert loader.load(yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass")).inputs == 1


class Forgetful(JsonCodec):
    """Drops the last rejected record."""

    def decode(self, records: RecordBatch) -> EventBatch:
        batch = super().decode(records)
        return replace(batch, rejected=batch.rejected[:-1])


class Doubtful(JsonCodec):
    """Rejects without a word."""

    def decode(self, records: RecordBatch) -> EventBatch:
        batch = super().decode(records)
        return replace(batch, rejected=[replace(event, detail="") for event in batch.rejected])


class Fickle(JsonCodec):
    """Looks at the number of records."""

    def decode(self, records: RecordBatch) -> EventBatch:
        batch = super().decode(records)
        return replace(batch, instances=batch.instances + len(records))


@pytest.mark.parametrize(
    ("codec", "said"),
    [(Forgetful, "missing, or there twice"), (Doubtful, "nothing is said"), (Fickle, "neighbours change")],
)
def test_defect_of_a_codec_is_found(codec: type[JsonCodec], said: str) -> None:
    good, bad = json_seeds()[0], (b"{", [])
    with pytest.raises(AssertionError, match=said):
        CodecSubject(codec(SCHEMA), SCHEMA, [good]).decode([good, bad])


class Falling:
    """Takes a recipe and ends the process, as a fault in compiled code would, or never comes back."""

    recipe_bytes = 8

    def run(self, recipe: bytes) -> Tally:
        os._exit(3)

    def close(self) -> None: ...


class Hanging(Falling):
    """Never comes back."""

    def run(self, recipe: bytes) -> Tally:
        time.sleep(60)
        return Tally()


@pytest.mark.parametrize(
    ("subject_class", "said"), [(Falling, "ended with code 3"), (Hanging, "no answer within 1 s")]
)
def test_crash_and_hang_are_told_with_their_recipe(
    subject_class: type[Falling], said: str, tmp_path: Path
) -> None:
    outcome = campaign("bad", subject_class, 10, 1, tmp_path, patience=1)

    assert [said in defect for defect in outcome.defects] == [True]
    assert len(outcome.recipe) == Falling.recipe_bytes
