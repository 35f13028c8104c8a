"""What of librdkafka's properties reaches a Faust app, and what is refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import faust
import pytest
import trustme

from monitor.errors import ConfigError
from monitor.faust_plugin import attach
from monitor.faust_plugin.broker import broker_settings

SERVERS = {"bootstrap.servers": "one:9093, SASL_SSL://two:9094"}


@pytest.fixture
def ca(tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


def test_servers_times_and_beginnings():
    settings = broker_settings({**SERVERS, "session.timeout.ms": 45000, "auto.offset.reset": "latest"})

    assert settings == {
        "broker": "kafka://one:9093;kafka://two:9094",
        "broker_session_timeout": 45.0,
        "consumer_auto_offset_reset": "latest",
    }
    assert len(faust.App("reads-the-servers", **settings).conf.broker) == 2


def test_password_over_tls(ca: str):
    credentials = broker_settings(
        {
            **SERVERS,
            "security.protocol": "sasl_ssl",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "u",
            "sasl.password": "p",
            "ssl.ca.location": ca,
        }
    )["broker_credentials"]

    assert (credentials.protocol.value, credentials.mechanism.value) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (credentials.username, credentials.password) == ("u", "p")
    assert credentials.ssl_context.verify_mode == ssl.CERT_REQUIRED
    assert credentials.ssl_context.check_hostname


def test_certificate_instead_of_a_password(ca: str, tmp_path: Path):
    pem = tmp_path / "client.pem"
    trustme.CA().issue_cert("client").private_key_and_cert_chain_pem.write_to_path(pem)
    credentials = broker_settings(
        {
            **SERVERS,
            "security.protocol": "SSL",
            "ssl.ca.location": ca,
            "ssl.certificate.location": str(pem),
            "ssl.key.location": str(pem),
            "ssl.endpoint.identification.algorithm": "none",
        }
    )["broker_credentials"]

    assert credentials.protocol.value == "SSL"
    assert not credentials.context.check_hostname
    assert credentials.context.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize(
    ("properties", "sentence"),
    [
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"},
            "kafka.sasl.mechanism OAUTHBEARER cannot be passed on to Faust from a file",
        ),
        ({"security.protocol": "SASL_PLAINTEXT"}, "kafka.sasl.mechanism GSSAPI cannot be passed on"),
        ({"ssl.keystore.location": "/k.p12"}, "kafka.ssl.keystore.location has no counterpart in Faust"),
        (
            {"security.protocol": "SSL", "ssl.ca.location": "/nowhere/ca.pem"},
            "the TLS files cannot be read: .*No such file",
        ),
    ],
)
def test_what_faust_cannot_do_is_refused(properties, sentence):
    with pytest.raises(ConfigError, match=sentence):
        broker_settings({**SERVERS, **properties})


def test_the_monitor_does_not_share_the_group_of_the_app(tmp_path: Path):
    config = tmp_path / "monitor.yaml"
    config.write_text(
        """
kafka: {bootstrap.servers: "localhost:9092", group.id: orders}
redis: {url: "redis://localhost:6379/0"}
monitors:
  - {name: m, input: {topic: e}, detector: b, window: {size: 9}, alerts: {topic: a}, dead_letters: {topic: r}}
"""
    )

    with pytest.raises(ConfigError, match=r"kafka.group.id is 'orders', which is the Faust app's own group"):
        attach(faust.App("orders"), config)
