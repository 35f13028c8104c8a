"""What the typed config accepts, defaults to and hides."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from detectors.window_tests import WINDOW_TESTS, window_test
from monitor.config import Config, FieldsConfig, WindowTestConfig
from monitor.config.connections import KafkaConfig, RedisConfig
from monitor.config.types import WINDOW_TEST_NAMES
from streams.events import EventFields
from streams.state.redis_connection import RedisConnection

MONITOR: dict[str, Any] = {
    "name": "cifar10",
    "input": {"topic": "events"},
    "detector": "models/cifar10",
    "window": {"size": 100},
    "alerts": {"topic": "alerts"},
    "dead_letters": {"topic": "rejected"},
}
MINIMAL: dict[str, Any] = {
    "kafka": {"bootstrap.servers": "localhost:9092"},
    "redis": {"url": "redis://localhost:6379/0"},
    "monitors": [MONITOR],
}


def test_a_minimal_config_gets_the_documented_defaults() -> None:
    config = Config.model_validate(MINIMAL)

    (monitor,) = config.monitors
    assert config.kafka.properties == {
        "bootstrap.servers": "localhost:9092",
        "group.id": "drift-monitor",
        "auto.offset.reset": "earliest",
    }
    assert (config.redis.prefix, config.redis.socket_timeout_seconds) == ("drift", 5.0)
    assert (config.worker.batch_size, config.worker.batch_wait_ms) == (20_000, 5)
    assert (monitor.input.format, monitor.input.max_bytes, monitor.prediction) == ("json", 1_048_576, "event")
    assert (monitor.segment_by, monitor.window.hop, monitor.window.max_age_seconds) == ("none", None, None)
    assert (monitor.test.name, monitor.test.alternative, monitor.test.p_val) == ("ks_2samp", "higher", 0.05)
    assert (monitor.alerts.raise_after, monitor.alerts.resolve_after) == (1, 1)
    assert monitor.detector == Path.cwd() / "models/cifar10"


def test_the_run_time_promise_replaces_the_default_level() -> None:
    test = WindowTestConfig.model_validate({"expected_run_time": 1000, "confidence": 0.9})

    assert (test.p_val, test.expected_run_time, test.confidence) == (None, 1000, 0.9)


def test_a_false_discovery_rate_replaces_the_default_level() -> None:
    window = {"size": 100, "hop": 100}
    config = Config.model_validate(
        {**MINIMAL, "monitors": [{**MONITOR, "window": window, "test": {"fdr": 0.05}}]}
    )

    assert (config.monitors[0].test.fdr, config.monitors[0].test.p_val) == (0.05, None)


@pytest.mark.parametrize(
    ("name", "alternative"),
    [
        ("mannwhitneyu", "higher"),
        ("mannwhitneyu", "lower"),
        ("cramervonmises_2samp", "two-sided"),
        ("anderson_ksamp", "two-sided"),
        ("rank_cusum", "two-sided"),
        ("flagged_fraction", "higher"),
    ],
)
def test_every_window_test_can_be_chosen_with_the_alternatives_that_it_has(
    name: str, alternative: str
) -> None:
    test = WindowTestConfig.model_validate({"name": name, "alternative": alternative})

    assert window_test(test.name, [1.0, 2.0], test.alternative).name == name


def test_the_tests_to_choose_from_are_all_that_there_are() -> None:
    assert set(WINDOW_TEST_NAMES) == set(WINDOW_TESTS)


def test_event_fields_are_those_that_codecs_read() -> None:
    assert EventFields(**FieldsConfig().model_dump()) == EventFields()
    assert list(FieldsConfig.model_fields) == [field.name for field in fields(EventFields)]


def test_a_config_cannot_be_changed() -> None:
    config = Config.model_validate(MINIMAL)

    with pytest.raises(ValidationError, match="frozen"):
        config.monitors[0].window.size = 5  # type: ignore[misc]


def test_no_rendering_of_a_config_shows_a_secret() -> None:
    kafka = {
        "sasl.password": "hunter2",
        "ssl.key.pem": "hunter2",
        "sasl.oauthbearer.client.secret": "hunter2",
    }
    redis = {"url": "rediss://localhost", "password": "hunter2", "ssl_password": "hunter2"}
    config = Config.model_validate(
        {**MINIMAL, "kafka": {**MINIMAL["kafka"], **kafka}, "redis": redis},
    )

    renderings = (repr(config), str(config), str(config.model_dump()), config.model_dump_json())
    assert all("hunter2" not in rendering for rendering in renderings)
    assert {config.kafka.properties[name] for name in kafka} == {"hunter2"}
    assert config.redis.connection_options()["password"] == "hunter2"


@pytest.mark.parametrize("password", ["hunter2", "hun/ter2", "hun@ter2"])
def test_credentials_within_the_redis_address_are_masked(password: str) -> None:
    quoted = password.replace("/", "%2F").replace("@", "%40")
    redis = RedisConfig.model_validate({"url": f"redis://user:{quoted}@localhost:6379/2"})

    assert str(redis.url) == "redis://***@localhost:6379/2"
    assert quoted not in repr(redis) + redis.model_dump_json() + str(redis.model_dump())
    assert redis.connection_options()["url"] == f"redis://user:{quoted}@localhost:6379/2"


def test_connection_options_are_what_the_connection_takes(tmp_path: Path) -> None:
    plain = RedisConfig.model_validate({"url": "unix:///run/redis.sock?db=1", "password": "hunter2"})
    tls = RedisConfig.model_validate(
        {
            "url": "rediss://localhost",
            "ssl_ca_certs": str(tmp_path / "ca.pem"),
            "ssl_certfile": str(tmp_path / "c.pem"),
            "ssl_keyfile": str(tmp_path / "k.pem"),
            "ssl_check_hostname": False,
        }
    )

    for redis in (plain, tls):
        RedisConnection(**redis.connection_options()).close()
    assert tls.connection_options()["ssl_ca_certs"] == str(tmp_path / "ca.pem")
    assert tls.connection_options()["ssl_check_hostname"] is False


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://localhost:port",
        "redis://localhost:6379/zero",
        "redis://localhost:6379/0?password=hunter2",
        "redis://:hun#ter2@localhost",
        "unix://",
        "unix:///run/redis.sock?db=x",
        "redis://[::1",
        "",
    ],
)
def test_an_address_that_redis_would_misread_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValidationError, match="must be redis://host:port/db") as caught:
        RedisConfig.model_validate({"url": url})
    assert "ter2" not in str(caught.value)


def test_properties_of_kafka_stay_as_given() -> None:
    given = {"bootstrap.servers": "a:1", "session.timeout.ms": 6000, "socket.keepalive.enable": True}

    assert KafkaConfig.model_validate(given).properties.items() >= given.items()
    assert isinstance(KafkaConfig({**given, "sasl.password": "x"}).root["sasl.password"], SecretStr)
