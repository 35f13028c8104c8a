"""Events with schema ids, a real schema registry, and the producer's own serializers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from streams import headers as header_names
from tests.cli_setup import run
from tests.servers.ports import free_ports
from tests.servers.schema_registry import SchemaRegistry
from tests.traffic import Account, Events, TinyDetector, consume, publish
from tests.workers import WorkerThread, monitor_config, wait_for_verdicts

pytestmark = pytest.mark.real_broker

WINDOW = 50
AVRO = json.dumps(
    {
        "type": "record",
        "name": "Inference",
        "fields": [
            {"name": "id", "type": ["null", "string"], "default": None},
            {"name": "instance", "type": {"type": "array", "items": "float"}},
            {"name": "prediction", "type": {"type": "array", "items": "float"}},
        ],
    }
)
DRAFT = "http://json-schema.org/draft-07/schema#"
JSON = json.dumps(
    {"$schema": DRAFT, "title": "Inference", "type": "object", "required": ["instance", "prediction"]}
)


@pytest.fixture(scope="module")
def registry() -> Iterator[SchemaRegistry]:
    server = SchemaRegistry()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyDetector:
    return TinyDetector(tmp_path_factory.mktemp("bundle") / "tiny")


def serialized(serialize: Callable[..., bytes], topic: str, events: Events) -> list[bytes]:
    context = SerializationContext(topic, MessageField.VALUE)
    return [
        serialize({"instance": instance, "prediction": prediction}, context)
        for instance, prediction in zip(events.instances.tolist(), events.predictions.tolist(), strict=True)
    ]


def two_monitors(tiny: TinyDetector, kafka: Any, redis_url: str, topic: Callable[..., str]) -> dict[str, Any]:
    """Config of a monitor of Avro events and one of JSON events with schema ids."""
    topics = {name: topic(name) for name in ("events", "alerts", "rejected")}
    config = monitor_config(kafka.bootstrap, redis_url, tiny.path, topics, window={"size": WINDOW})
    avro = {**config["monitors"][0], "name": "avro", "input": {"topic": topics["events"], "format": "avro"}}
    plain = {**avro, "name": "json", "input": {"topic": topic("json"), "format": "json_schema"}}
    return {**config, "monitors": [avro, plain]}


def test_what_the_real_producers_send_is_counted_once_the_registry_answers(
    registry, tiny, kafka, redis_url, topic, tmp_path, caplog
):
    config = two_monitors(tiny, kafka, redis_url, topic)
    config["schema_registry"] = {"url": registry.url, "timeout_seconds": 0.3}
    avro_topic, json_topic = (monitor["input"]["topic"] for monitor in config["monitors"])
    client = SchemaRegistryClient({"url": registry.url})
    events = tiny.calm(2 * WINDOW, seed=7)
    sent = {"avro": Account(), "json": Account()}
    avro = serialized(AvroSerializer(client, AVRO), avro_topic, events)
    publish(kafka.bootstrap, avro_topic, [b"\0\0\1\0\0unknown"])
    sent["avro"].enter(publish(kafka.bootstrap, avro_topic, avro), events.scores)
    plain = serialized(JSONSerializer(JSON, client), json_topic, events)
    sent["json"].enter(publish(kafka.bootstrap, json_topic, plain), events.scores)

    registry.freeze()
    try:
        with WorkerThread(tmp_path, config) as worker:
            held_up = f"The schema registry {registry.url} cannot be reached"
            worker.wait_for("a warning", lambda: held_up in caplog.text)
            registry.thaw()
            for name, account in sent.items():
                account.check(wait_for_verdicts(worker, redis_url, name, 2))
    finally:
        registry.thaw()

    (rejected,) = consume(kafka.bootstrap, config["monitors"][0]["dead_letters"]["topic"], 1)
    assert rejected.value() == b"\0\0\1\0\0unknown"
    detail = dict(rejected.headers())[header_names.REJECT_DETAIL].decode()
    assert f"schema 65536, which the registry {registry.url} does not have" in detail
    assert caplog.text.count(held_up) == 1


def checked(path: Path, config: dict[str, Any]) -> str:
    """What ``check`` says about the registry."""
    path.write_text(yaml.safe_dump(config))
    lines = [json.loads(line) for line in run("check", "-c", path, "--json").stdout.splitlines()]
    (found,) = (line for line in lines if line["subject"] == "schema registry")
    return f"{found['severity']}: {found['sentence']}"


def test_check_looks_at_the_registry(registry, tiny, kafka, redis_url, topic, tmp_path):
    registry.register(uuid4().hex, AVRO)
    config = two_monitors(tiny, kafka, redis_url, topic)
    path = tmp_path / "monitor.yaml"

    config["schema_registry"] = {"url": registry.url}
    assert checked(path, config).startswith(f"ok: {registry.url} answers, ")

    config["schema_registry"] = {"url": registry.url.replace("/apis/ccompat/v7", "")}
    assert "is no Confluent-compatible schema registry; check the url" in checked(path, config)

    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    config["schema_registry"] = {"url": nobody}
    assert checked(path, config).startswith(f"failed: The schema registry {nobody} cannot be reached: ")
