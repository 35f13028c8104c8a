"""Options that a format has of its own: found by name, checked by name, handed to the codec."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from streams.codecs import protocol
from streams.codecs.protocol import open_codec
from streams.errors import CodecError
from streams.events import EventBatch, EventSchema
from streams.records import RecordBatch

SCHEMA = EventSchema(input_shape=(2,), n_classes=2)


class DemandingCodec:
    """A codec as another package may install it."""

    def __init__(self, schema: EventSchema, *, registry: str, subject: str = "events") -> None:
        self.schema, self.registry, self.subject = schema, registry, subject

    def decode(self, records: RecordBatch) -> EventBatch:
        raise NotImplementedError


@pytest.fixture
def demanding(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("demanding", f"{__name__}:DemandingCodec", protocol.CODEC_ENTRY_POINT_GROUP)
    monkeypatch.setattr(EntryPoint, "load", lambda _: DemandingCodec)
    monkeypatch.setattr(protocol, "installed", lambda group: {point.name: point})


@pytest.mark.usefixtures("demanding")
def test_options_reach_the_codec() -> None:
    codec = open_codec("demanding", SCHEMA, {"registry": "http://here"})
    assert isinstance(codec, DemandingCodec)
    assert (codec.schema, codec.registry, codec.subject) == (SCHEMA, "http://here", "events")


@pytest.mark.usefixtures("demanding")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"registry": "r", "subjet": "s"},
            r"no option 'subjet'; .*registry, subject; did you mean 'subject'",
        ),
        ({"subject": "s"}, r"needs the option 'registry'\."),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(CodecError, match=sentence):
        open_codec("demanding", SCHEMA, options)


def test_a_format_without_options_takes_none() -> None:
    with pytest.raises(CodecError, match=r"'json' has no option 'depth'; it has none\."):
        open_codec("json", SCHEMA, {"depth": 1})
