"""Which librdkafka properties a config may set, checked with librdkafka itself."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from confluent_kafka import Consumer, KafkaException, Producer, libversion

from monitor.config.faults import nearest
from monitor.errors import ConfigError

PropertyValue: TypeAlias = str | int | float | bool

_COMMITS = "the worker commits an offset only after its windows hold the event"
_DELIVERY = "the worker counts an alert as published only when every in-sync replica has it"
OWNED_PROPERTIES: Mapping[str, str] = {
    "enable.auto.commit": _COMMITS,
    "auto.commit.enable": _COMMITS,
    "auto.commit.interval.ms": "worker.commit_interval_seconds says how often offsets are committed",
    "enable.auto.offset.store": _COMMITS,
    "offset.store.method": _COMMITS,
    "offset.store.path": _COMMITS,
    "offset.store.sync.interval.ms": _COMMITS,
    "partition.assignment.strategy": "the worker depends on cooperative rebalancing",
    "enable.partition.eof": "the worker reads endless streams",
    "acks": _DELIVERY,
    "request.required.acks": _DELIVERY,
    "delivery.report.only.error": _DELIVERY,
    "transactional.id": "alerts are published at least once, with ids that let subscribers drop repeats",
}
"""Properties that the worker sets itself, each with the reason why a config may not."""

CONSUMER_DEFAULTS: Mapping[str, PropertyValue] = {
    # What is fetched ahead: two of the largest batches (`monitor.batch_sizes`), or a third of a second of
    # small events. librdkafka's own 64 MB and 100,000 records took 55 MiB more in a drain of small events.
    "queued.max.messages.kbytes": 16_384,
    "queued.min.messages": 20_000,
    # Having as much in store, librdkafka leaves the broker alone for so long. Its own second outlasts the
    # store: a worker that needs less for it would stand idle for the rest.
    "fetch.queue.backoff.ms": 10,
}
"""Properties of consumers whose usual value does not suit a worker; a config may set them."""

_PROBE = "drift.monitor.probe"
_BROKER_LISTS = ("bootstrap.servers", "metadata.broker.list")
_PYTHON_ONLY = {"logger", "default.topic.config", "on_commit", "on_delivery"}
_SENSITIVE_PARTS = ("password", "passphrase", "secret", ".pem", "jaas", "oauthbearer.config")


@cache
def known_properties() -> dict[str, dict[str, str]]:
    """Properties with the clients they serve and the values allowed, as librdkafka 2.16 prints them.

    Used for advice alone; whether a property is accepted is for the installed librdkafka to say.
    """
    text = (files("monitor.config") / "librdkafka_properties.json").read_text(encoding="utf-8")
    known: dict[str, dict[str, str]] = json.loads(text)
    return known


def is_sensitive(name: str) -> bool:
    """Whether the value of a property is a secret, such as ``sasl.password``."""
    return any(part in name for part in _SENSITIVE_PARTS)


def for_consumer(properties: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """Leave out what only a producer reads, about which librdkafka would warn; add ``CONSUMER_DEFAULTS``."""
    return {**CONSUMER_DEFAULTS, **_without(properties, "producer")}


def for_producer(properties: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """Leave out what only a consumer reads, about which librdkafka would warn."""
    return _without(properties, "consumer")


def _without(properties: Mapping[str, PropertyValue], client: str) -> dict[str, PropertyValue]:
    return {
        name: value
        for name, value in properties.items()
        if known_properties().get(name, {}).get("client") != client
    }


def property_faults(properties: Mapping[str, PropertyValue]) -> Iterator[tuple[str, str]]:
    """Find the properties that may not be set or have a value that librdkafka refuses.

    No client is started, no file is read and no broker is contacted.

    Yields
    ------
    tuple of str
        The property and what is wrong with it, a predicate such as "must be true or false"; no value is
        ever repeated in it.
    """
    for name, value in properties.items():
        if name in OWNED_PROPERTIES:
            yield name, f"is set by the worker itself, since {OWNED_PROPERTIES[name]}; remove it"
        elif name in _PYTHON_ONLY or name.endswith("_cb"):
            yield name, "takes a Python object, which a file cannot give; remove it"
        elif is_sensitive(name) and not isinstance(value, str):
            yield name, "must be text; put it in quotes"
        # The plugin's library would be loaded, and its code run, by the probe.
        elif name != "plugin.library.paths" and (refusal := _refusal(name, value)) is not None:
            yield name, refusal


def _refusal(name: str, value: PropertyValue) -> str | None:
    """Let librdkafka judge one property; None when it accepts it."""
    try:
        # Properties are set in order, and the last one does not exist: no client ever comes to be.
        Producer({name: value, _PROBE: ""})
    except KafkaException as error:
        message: str = error.args[0].str()
    except (TypeError, ValueError):
        return "is not a value that librdkafka can take"
    else:
        return None
    if _PROBE in message:
        return None
    if message.startswith("No such configuration property"):
        meant = nearest(name, known_properties().keys() - OWNED_PROPERTIES.keys())
        advice = f"; did you mean '{meant}'?" if meant else ""
        return f"is not a property that librdkafka {libversion()[0]} knows{advice}"
    if "dedicated" in message or "not settable" in message:
        return "takes a program's object, which a file cannot give; remove it"
    if "not supported in this build" in message:
        return "is not supported by this build of librdkafka; remove it"
    return _allowed_values(name)


def _allowed_values(name: str) -> str:
    allowed = known_properties().get(name, {}).get("allowed", "")
    if " .. " in allowed:
        return f"must be a number from {allowed.replace(' .. ', ' to ')}"
    if allowed == "true, false":
        return "must be true or false"
    if name == "debug":
        return f"must be a comma-separated list of any of: {allowed}"
    if allowed:
        return f"must be one of: {allowed}"
    return "has a value that librdkafka refuses; see the property in librdkafka's CONFIGURATION.md"


def check_kafka_properties(properties: Mapping[str, PropertyValue]) -> None:
    """Check properties one by one and together, as a consumer's and as a producer's.

    Clients are made, without a broker's address, and thrown away: librdkafka reads certificates and keys and
    compares properties with each other only then.

    Parameters
    ----------
    properties
        What `KafkaConfig.properties` returns.

    Raises
    ------
    ConfigError
        If librdkafka refuses them; one line a fault, without secrets.
    """
    faults = [f"kafka.{name} {sentence}" for name, sentence in property_faults(properties)]
    if not faults:
        faults = list(dict.fromkeys(_client_faults(properties)))
    if faults:
        raise ConfigError("\n".join(faults))


def _client_faults(properties: Mapping[str, PropertyValue]) -> Iterator[str]:
    offline = {name: value for name, value in properties.items() if name not in _BROKER_LISTS}
    for client, client_properties in (
        (Consumer, {"group.id": "check", **for_consumer(offline)}),
        (Producer, for_producer(offline)),
    ):
        if (message := _client_refusal(client, client_properties)) is not None:
            yield f"kafka: librdkafka refuses the properties: {_redacted(message, properties)}"


def _client_refusal(client_class: Any, properties: Mapping[str, PropertyValue]) -> str | None:
    silent = logging.Logger("kafka-properties", logging.CRITICAL + 1)
    try:
        client = client_class({**properties, "logger": silent})
    except KafkaException as error:
        return re.sub(r"^Failed to create (consumer|producer): ", "", error.args[0].str().strip())
    if client_class is Consumer:
        client.close()
    return None


def _redacted(message: str, properties: Mapping[str, PropertyValue]) -> str:
    for name, value in properties.items():
        if is_sensitive(name) and str(value):
            message = message.replace(str(value), "***")
    return message
