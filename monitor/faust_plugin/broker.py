"""From librdkafka's properties to Faust's settings."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import faust

from monitor.config.kafka_properties import PropertyValue
from monitor.errors import ConfigError

DEFAULT_PORT = 9092

_SECONDS = {
    "session.timeout.ms": "broker_session_timeout",
    "heartbeat.interval.ms": "broker_heartbeat_interval",
    "max.poll.interval.ms": "broker_max_poll_interval",
}
_AS_THEY_ARE = {
    "client.id": "broker_client_id",
    "group.instance.id": "consumer_group_instance_id",
    "compression.type": "producer_compression_type",
    "message.max.bytes": "producer_max_request_size",
}
_LATEST = ("latest", "end", "largest")
_PASSWORD_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_SECURITY = {
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
}


def broker_settings(properties: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """Return the settings of a Faust app that leads to the same brokers in the same way.

    Properties that tune librdkafka itself have no counterpart and are left out.

    Raises
    ------
    ConfigError
        If the brokers ask for what Faust cannot do: a Kerberos or OAuth login, or TLS other than with PEM
        files and a CA.
    """
    unknown = sorted(
        name
        for name in properties
        if name.startswith(("ssl.", "sasl.", "enable.sasl.", "enable.ssl.")) and name not in _SECURITY
    )
    if unknown:
        raise ConfigError(
            f"kafka.{unknown[0]} has no counterpart in Faust. Make the app yourself, with broker_credentials"
            " that do the same, and use monitor.faust_plugin.attach(app, config)."
        )
    settings: dict[str, Any] = {
        "broker": ";".join(_url(one) for one in str(properties["bootstrap.servers"]).split(",")),
        "consumer_auto_offset_reset": (
            "latest" if properties.get("auto.offset.reset") in _LATEST else "earliest"
        ),
        **{ours: properties[name] for name, ours in _AS_THEY_ARE.items() if name in properties},
        **{ours: float(properties[name]) / 1000 for name, ours in _SECONDS.items() if name in properties},
    }
    credentials = _credentials(properties)
    return settings if credentials is None else {**settings, "broker_credentials": credentials}


def _url(server: str) -> str:
    address = server.strip().rpartition("://")[2]
    return f"kafka://{address}"


def _credentials(properties: Mapping[str, PropertyValue]) -> faust.auth.Credentials | None:
    protocol = str(properties.get("security.protocol", "plaintext")).upper()
    context = _tls(properties) if protocol in ("SSL", "SASL_SSL") else None
    if protocol.startswith("SASL"):
        mechanism = str(properties.get("sasl.mechanism", properties.get("sasl.mechanisms", "GSSAPI")))
        if mechanism not in _PASSWORD_MECHANISMS:
            raise ConfigError(
                f"kafka.sasl.mechanism {mechanism} cannot be passed on to Faust from a file; use one of"
                f" {', '.join(_PASSWORD_MECHANISMS)}, or make the app yourself, with broker_credentials, and"
                " use monitor.faust_plugin.attach(app, config)."
            )
        return faust.SASLCredentials(
            username=properties.get("sasl.username"),
            password=properties.get("sasl.password"),
            ssl_context=context,
            mechanism=mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)


def _tls(properties: Mapping[str, PropertyValue]) -> ssl.SSLContext:
    pem = properties.get("ssl.ca.pem")
    try:
        context = ssl.create_default_context(
            cafile=_path(properties, "ssl.ca.location"), cadata=None if pem is None else str(pem)
        )
        certificate = _path(properties, "ssl.certificate.location")
        if certificate is not None:
            password = properties.get("ssl.key.password")
            context.load_cert_chain(
                certificate,
                _path(properties, "ssl.key.location"),
                None if password is None else str(password),
            )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"kafka: the TLS files cannot be read: {error}") from error
    if str(properties.get("ssl.endpoint.identification.algorithm", "https")).lower() == "none":
        context.check_hostname = False
    if str(properties.get("enable.ssl.certificate.verification", True)).lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _path(properties: Mapping[str, PropertyValue], name: str) -> str | None:
    value = properties.get(name)
    return None if value is None else str(value)
