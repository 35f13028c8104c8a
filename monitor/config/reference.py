"""The config's JSON Schema and the tables of ``docs/configuration.md``, generated from the models.

``python -m monitor.config.reference`` in a checkout writes both anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, Secret, SecretStr
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from monitor.config import Config
from monitor.config.connections import KafkaConfig
from monitor.config.kafka_properties import OWNED_PROPERTIES

SCHEMA_FILE = "schemas/config.schema.json"
"""Place of the JSON Schema in the package ``monitor``."""
BEGIN = "<!-- generated: begin -->"
END = "<!-- generated: end -->"
_TYPE_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true/false",
    Path: "path",
    dict: "mapping",
}


def json_schema() -> str:
    """Write the JSON Schema of the config file, for editors and other tools."""
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **Config.model_json_schema()}
    schema["title"] = "drift-monitor config"
    return json.dumps(schema, indent=2) + "\n"


def reference_tables() -> str:
    """Write one Markdown table a section, in the order of the file."""
    return "\n".join("\n".join(_section(path, model)) for path, model in _sections("", Config) if path)


def refreshed(page: str) -> str:
    """Replace what stands between the marks in a Markdown page by the tables.

    Raises
    ------
    ValueError
        If the page lacks one of the marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page needs the marks {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{reference_tables()}\n{END}{after}"


def _sections(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    if issubclass(model, KafkaConfig):
        return
    for key, info in model.model_fields.items():
        inner = _inner_model(info.annotation)
        if inner is not None:
            mark = "[]" if get_origin(info.annotation) is tuple else ""
            yield from _sections(f"{path}.{key}{mark}".lstrip("."), inner)


def _section(path: str, model: type[BaseModel]) -> Iterator[str]:
    summary = (model.__doc__ or "").strip().split("\n\n")
    yield f"### `{path}`\n"
    yield "\n\n".join(" ".join(paragraph.split()) for paragraph in summary) + "\n"
    if issubclass(model, KafkaConfig):
        yield "Properties that the worker sets itself, and a config may not:\n"
        yield "| property | why |\n| --- | --- |"
        yield from (f"| `{name}` | {reason} |" for name, reason in OWNED_PROPERTIES.items())
    else:
        yield "| key | type | default | meaning |\n| --- | --- | --- | --- |"
        for key, info in model.model_fields.items():
            cells = (f"`{key}`", _type(info), _default(info), info.description or "")
            yield "| " + " | ".join(cells) + " |"
    yield ""


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    optional = get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)
    candidate = get_args(annotation)[0] if optional or get_origin(annotation) is tuple else annotation
    return candidate if isinstance(candidate, type) and issubclass(candidate, BaseModel) else None


def _type(info: FieldInfo) -> str:
    annotation: Any = info.annotation
    metadata = list(info.metadata)
    if _inner_model(annotation):
        return "list of sections" if get_origin(annotation) is tuple else "section"
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(member for member in get_args(annotation) if member is not NoneType)
    if hasattr(annotation, "__metadata__"):
        metadata += annotation.__metadata__
        annotation = annotation.__origin__
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, (Secret, SecretStr)):
        return "text, never shown"
    return ", ".join([_TYPE_NAMES[get_origin(annotation) or annotation], *_bounds(metadata)])


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for item in metadata:
        if isinstance(item, FieldInfo):
            yield from _bounds(item.metadata)
        elif isinstance(item, Gt):
            yield f"> {item.gt}"
        elif isinstance(item, Ge):
            yield f"≥ {item.ge}"
        elif isinstance(item, Lt):
            yield f"< {item.lt}"
        elif isinstance(item, Le):
            yield f"≤ {item.le}"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default is None or info.default_factory is not None or _inner_model(info.annotation):
        return ""
    return f"`{json.dumps(info.default)}`" if isinstance(info.default, bool) else f"`{info.default}`"


def _write() -> None:
    package = Path(__file__).parents[1]
    page = package.parent / "docs" / "configuration.md"
    (package / SCHEMA_FILE).write_text(json_schema(), encoding="utf-8")
    page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _write()
