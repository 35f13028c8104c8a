"""The published schema and the reference page say what the models say."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from monitor.config.file import load_config
from monitor.config.reference import SCHEMA_FILE, json_schema, refreshed

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    published: dict[str, Any] = json.loads((files("monitor") / SCHEMA_FILE).read_text(encoding="utf-8"))
    return published


def test_the_published_schema_is_that_of_the_models(schema: dict[str, Any]) -> None:
    assert schema == json.loads(json_schema()), "run: python -m monitor.config.reference"


def test_the_reference_page_is_that_of_the_models() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == refreshed(page), "run: python -m monitor.config.reference"


def test_every_key_is_described(schema: dict[str, Any]) -> None:
    sections = [schema, *schema["$defs"].values()]
    undescribed = [
        f"{section['title']}.{key}"
        for section in sections
        if section["title"] != "KafkaConfig"
        for key, value in section["properties"].items()
        if not value.get("description")
    ]

    assert undescribed == []


def examples() -> list[str]:
    return re.findall(
        r"^```yaml\n(kafka:.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def test_the_examples_of_the_page_load_and_fit_the_schema(schema: dict[str, Any], tmp_path: Path) -> None:
    assert examples()
    for example in examples():
        path = tmp_path / "monitor.yaml"
        path.write_text(example, encoding="utf-8")
        config = load_config(path, {"KAFKA_PASSWORD": "x", "REDIS_PASSWORD": "y"})

        assert config.monitors[0].name == "cifar10"
        jsonschema.validate(yaml.safe_load(example), schema)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("size: 100", "sise: 100"),
        ("size: 100", 'size: "100"'),
        ("alternative: higher", "alternative: up"),
        ("security.protocol: SASL_SSL", "enable.auto.commit: true"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(schema: dict[str, Any], old: str, new: str) -> None:
    assert old in examples()[0]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(examples()[0].replace(old, new)), schema)
