"""librdkafka's properties: what is refused, with which words."""

from __future__ import annotations

import pytest

from monitor.config.kafka_properties import (
    CONSUMER_DEFAULTS,
    OWNED_PROPERTIES,
    PropertyValue,
    check_kafka_properties,
    for_consumer,
    for_producer,
    known_properties,
    property_faults,
)
from monitor.errors import ConfigError

BROKER = {"bootstrap.servers": "127.0.0.1:1"}


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("bootstrap.server", "x", "did you mean 'bootstrap.servers'?"),
        ("sesion.timeout.ms", 6000, "did you mean 'session.timeout.ms'?"),
        ("entirely.unlike.anything.known", 1, "knows"),
        ("session.timeout.ms", "soon", "must be a number from 1 to 3600000"),
        ("linger.ms", 1e12, "must be a number from 0 to 900000"),
        ("linger.ms", True, "must be a number from 0 to 900000"),
        ("auto.offset.reset", "hunter2", "must be one of: smallest, earliest"),
        ("enable.ssl.certificate.verification", "maybe", "must be true or false"),
        ("debug", "hunter2", "must be a comma-separated list of any of: generic, broker"),
        ("topic.blacklist", "(hunter2", "has a value that librdkafka refuses; see the property in"),
        ("sasl.password", 1234, "must be text; put it in quotes"),
        ("error_cb", "print", "takes a Python object, which a file cannot give; remove it"),
        ("logger", "print", "takes a Python object, which a file cannot give; remove it"),
        ("opaque", "x", "takes a program's object, which a file cannot give; remove it"),
        ("acks", "all", "is set by the worker itself"),
        ("a\0b", "x", "is not a property that librdkafka"),
    ],
)
def test_a_property_that_cannot_be(name: str, value: PropertyValue, fault: str) -> None:
    ((found_name, sentence),) = property_faults({**BROKER, name: value})

    assert found_name == name
    assert fault in sentence
    assert "hunter2" not in sentence


def test_every_property_of_the_table_is_known_to_librdkafka() -> None:
    values: dict[str, PropertyValue] = dict.fromkeys(known_properties().keys() - OWNED_PROPERTIES.keys(), "1")

    assert [name for name, fault in property_faults(values) if "knows" in fault] == []
    assert known_properties().keys() >= OWNED_PROPERTIES.keys()


def test_plugins_are_not_loaded_by_looking_at_them() -> None:
    assert list(property_faults({"plugin.library.paths": "/nonexistent/plugin.so"})) == []


def test_each_client_gets_what_it_reads() -> None:
    properties: dict[str, PropertyValue] = {
        **BROKER,
        "group.id": "g",
        "linger.ms": 5,
        "new.in.a.later.version": 1,
    }

    assert for_consumer(properties).keys() - CONSUMER_DEFAULTS.keys() == properties.keys() - {"linger.ms"}
    assert for_producer(properties).keys() == properties.keys() - {"group.id"}


def test_a_config_goes_before_the_defaults_of_a_consumer() -> None:
    assert for_consumer(BROKER).items() >= CONSUMER_DEFAULTS.items()
    assert for_consumer({**BROKER, "fetch.queue.backoff.ms": 50})["fetch.queue.backoff.ms"] == 50


@pytest.mark.parametrize(
    ("properties", "fault"),
    [
        ({"bootstrap.server": "x"}, "kafka.bootstrap.server is not a property"),
        ({"session.timeout.ms": 60000, "max.poll.interval.ms": 1000}, "must be >= `session.timeout.ms`"),
        ({"message.timeout.ms": 1000, "linger.ms": 5000}, "must be greater than `linger.ms`"),
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "u"},
            "sasl.username and sasl.password must be set",
        ),
        ({"security.protocol": "SSL", "ssl.ca.location": "/nonexistent/ca.pem"}, "ssl.ca.location failed"),
        ({"security.protocol": "SSL", "ssl.key.pem": "hunter2"}, "ssl.key.pem failed"),
    ],
)
def test_properties_that_contradict_each_other(properties: dict[str, PropertyValue], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_kafka_properties({**BROKER, **properties})

    assert fault in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_good_properties_pass_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    properties: dict[str, PropertyValue] = {
        **BROKER,
        "group.id": "g",
        "auto.offset.reset": "earliest",
        "session.timeout.ms": 6000,
        "linger.ms": 5,
        "client.id": "monitor",
    }
    check_kafka_properties(properties)

    assert capfd.readouterr() == ("", "")
