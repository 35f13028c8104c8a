"""Why a Kafka cluster does not answer, in one sentence: the most telling of what librdkafka reported."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError as ClientError

HANDSHAKE_SECONDS = 2.0
"""How long a broker has to show its certificate."""

_LOGIN = "check kafka.sasl.username, kafka.sasl.password, kafka.sasl.mechanism and kafka.security.protocol."
_TLS = "check kafka.security.protocol and the kafka.ssl.* properties."


class Faults:
    """What librdkafka reports while a cluster does not answer.

    Parameters
    ----------
    properties
        librdkafka properties of the config.
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._properties = properties
        self._where = properties.get("bootstrap.servers") or properties.get("metadata.broker.list")
        self._texts: dict[str, str] = {}

    def note(self, error: ClientError) -> None:
        """Take an error of librdkafka's ``error_cb``; of each kind the first counts."""
        self._texts.setdefault(error.name(), _plain(error.str()))

    @property
    def hopeless(self) -> bool:
        """Whether waiting is of no use: a refused login or certificate will not mend."""
        return bool({"_AUTHENTICATION", "_SSL", "_RESOLVE"} & self._texts.keys()) or self._tls is not None

    def sentence(self, waited_seconds: float) -> str:
        """Say what is wrong and what to check."""
        where = f"Kafka at {self._where}"
        if (login := self._texts.get("_AUTHENTICATION")) is not None:
            return f"{where} refused the login: {login}; {_LOGIN}"
        if self._tls is not None:
            reason = self._tls
            if "certificate verify failed" in reason:
                reason = _refused_certificate(self._properties) or reason
            elif "closed by peer" in reason:
                reason = "the broker closed it; it may speak no TLS there, or want a client certificate"
            return f"The TLS connection to {where} failed: {reason}; {_TLS}"
        reached = next(
            (self._texts[name] for name in ("_RESOLVE", "_TRANSPORT", "_TIMED_OUT") if name in self._texts),
            None,
        )
        if reached is not None and not _CLOSED.search(reached):
            return f"{where} cannot be reached: {reached}; check kafka.bootstrap.servers."
        if self._texts:
            return (
                f"{where} closes the connection without an answer; it may expect TLS or a login, which"
                " kafka.security.protocol would say."
            )
        return f"{where} did not answer within {waited_seconds:g} s; check kafka.bootstrap.servers."

    @property
    def _tls(self) -> str | None:
        return next((text for text in self._texts.values() if "SSL" in text), None)


_CLOSED = re.compile("Broken pipe|Connection reset|Disconnected")


def _plain(reason: str) -> str:
    """Take the address and the timing, which librdkafka adds, off a reason."""
    reason = re.sub(r"^\S+/(bootstrap|\d+): ", "", reason)
    reason = re.sub(r"error:[0-9A-F]+:", "", reason)
    return re.sub(r" \(after \d+ms in state \w+\)$", "", reason).strip().rstrip(".:")


def _refused_certificate(properties: Mapping[str, Any]) -> str | None:
    """Find out what is wrong with the certificate of the first broker, which librdkafka keeps to itself."""
    servers = str(properties.get("bootstrap.servers") or properties.get("metadata.broker.list"))
    host, _, port = servers.split(",")[0].strip().rpartition("/")[2].rpartition(":")
    location = properties.get("ssl.ca.location")
    try:
        context = ssl.create_default_context(
            cafile=None if location in (None, "probe") else location, cadata=properties.get("ssl.ca.pem")
        )
        context.check_hostname = properties.get("ssl.endpoint.identification.algorithm") != "none"
        with (
            socket.create_connection((host.strip("[]"), int(port)), HANDSHAKE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host.strip("[]")),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return f"the broker's certificate is refused: {error.verify_message.rstrip('.')}"
    except (OSError, ValueError):
        return None
