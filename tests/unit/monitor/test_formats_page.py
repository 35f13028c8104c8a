"""The samples of ``docs/formats.md`` are events of the formats that they stand for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from monitor.config.settings import InputConfig
from streams.codecs.protocol import open_codec
from streams.events import EventSchema
from tests.records_in_memory import batch_of

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
SAMPLES = re.findall(
    r"^## `(\w+)`$(?:(?!^## ).)*?```yaml\n(.*?)```(?:(?!^## ).)*?```json\n(.*?)```",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


def test_each_format_that_is_json_has_a_sample() -> None:
    assert [name for name, _, _ in SAMPLES][:4] == ["json", "oip", "cloudevents", "pairs"]


@pytest.mark.parametrize(("name", "config", "event"), SAMPLES)
def test_the_sample_is_read_with_the_config_beside_it(name: str, config: str, event: str) -> None:
    settings = InputConfig.model_validate(yaml.safe_load(config)["input"])
    # What a pair makes of two records is read without the store in which halves wait.
    pair = {"request": "request", "response": "response"}
    encoding = ("oip", pair) if name == "pairs" else settings.encoding
    codec = open_codec(encoding[0], EventSchema((3,), 2, fields=settings.event_fields), encoding[1])
    batch = codec.decode(batch_of([event.encode()]))

    assert settings.format == name
    assert batch.rejected == []
    assert batch.instances[0].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert set(batch.ids or []) == {"6f1c"}
