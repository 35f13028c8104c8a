"""The sections that say how to reach Kafka and Redis."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, RootModel, SecretStr, model_validator
from typing_extensions import Self

from monitor.config.faults import KeyPath
from monitor.config.kafka_properties import OWNED_PROPERTIES, PropertyValue, is_sensitive, property_faults
from monitor.config.section import Section, SectionError
from monitor.config.tls_keys import check_tls_keys, in_the_clear
from monitor.config.types import (
    Address,
    KafkaValue,
    KeyPrefix,
    NonBlank,
    PositiveSeconds,
    RegistryUrl,
    RelativePath,
)
from streams.registry.client import RegistryAddress


def _kafka_properties(given: dict[str, Any]) -> dict[str, PropertyValue | SecretStr]:
    properties: dict[str, PropertyValue] = {"group.id": "drift-monitor", "auto.offset.reset": "earliest"}
    faults: list[tuple[KeyPath, str]] = []
    for name, value in given.items():
        if isinstance(value, (str, int, float, bool)):
            properties[name] = value
        else:
            faults.append(((name,), "must be text, a number, true or false; a dotted name is one key"))
    faults += [((name,), fault) for name, fault in property_faults(properties)]
    if properties["group.id"] == "":
        faults.append((("group.id",), "must not be empty; workers of one group share the partitions"))
    misspelt = any("'bootstrap.servers'" in fault for _, fault in faults)
    if not (given.get("bootstrap.servers") or given.get("metadata.broker.list") or misspelt):
        faults.append(((), "needs 'bootstrap.servers', the brokers to start from, as host:port,host:port"))
    if faults:
        raise SectionError(*faults)
    return {
        name: SecretStr(value) if is_sensitive(name) and isinstance(value, str) else value
        for name, value in properties.items()
    }


class KafkaConfig(RootModel[Annotated[dict[str, KafkaValue], AfterValidator(_kafka_properties)]]):
    """Any librdkafka property, such as `bootstrap.servers` (required) or `security.protocol`.

    `group.id` is `drift-monitor` and `auto.offset.reset` is `earliest` unless given.
    """

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "properties": {
                "bootstrap.servers": {"type": "string", "description": "Brokers, as host:port,host:port."},
                "group.id": {"type": "string", "default": "drift-monitor"},
                "auto.offset.reset": {"type": "string", "default": "earliest"},
            },
            "propertyNames": {"not": {"enum": [*sorted(OWNED_PROPERTIES)]}},
        },
    )

    @property
    def properties(self) -> dict[str, PropertyValue]:
        """All properties with secrets in the clear, for librdkafka alone."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.root.items()
        }


class RedisConfig(Section):
    """Where windows, references and alert states are kept."""

    url: Address
    """`redis://host:port/db`, `rediss://...` for TLS, or `unix:///path/to/socket?db=0`."""
    prefix: KeyPrefix = "drift"
    """First part of every key; deployments that share a Redis need one each."""
    socket_timeout_seconds: PositiveSeconds = 5.0
    """How long one answer may take before the worker tries again."""
    username: NonBlank | None = None
    """ACL user; Redis' own `default` user when not given."""
    password: SecretStr | None = None
    """Password of the user; take it from the environment: `${REDIS_PASSWORD}`."""
    ssl_ca_certs: RelativePath | None = None
    """File of CA certificates (PEM) to trust instead of the system's; only with `rediss://`."""
    ssl_certfile: RelativePath | None = None
    """Client certificate (PEM) for mutual TLS; only with `rediss://`, together with `ssl_keyfile`."""
    ssl_keyfile: RelativePath | None = None
    """Private key (PEM) of the client certificate."""
    ssl_password: SecretStr | None = None
    """Passphrase of the private key."""
    ssl_check_hostname: bool = True
    """Whether the server's certificate must name the host of `url`."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.url.has_credentials and (self.username is not None or self.password is not None):
            raise SectionError((("url",), "names a user or password, and so do other keys; give them once"))
        check_tls_keys(self, None if self.url.scheme == "rediss" else "a rediss:// url")
        return self

    def connection_options(self) -> dict[str, Any]:
        """Keyword arguments of `RedisConnection`, with secrets in the clear."""
        keys = ("username", "password", *(key for key in self.model_fields_set if key.startswith("ssl_")))
        return {
            "url": self.url.get_secret_value(),
            "timeout_seconds": self.socket_timeout_seconds,
            **in_the_clear(self, keys),
        }


class SchemaRegistryConfig(Section):
    """Where the schemas of events are kept, for formats that need them."""

    url: RegistryUrl
    """Base of a Confluent-compatible API: `https://registry:8081`; Apicurio's ends in `/apis/ccompat/v7`."""
    username: NonBlank | None = None
    """User, or API key, for HTTP basic authentication."""
    password: SecretStr | None = None
    """Password of the user; take it from the environment: `${SCHEMA_REGISTRY_PASSWORD}`."""
    timeout_seconds: PositiveSeconds = 5.0
    """How long one answer may take before the worker tries again."""
    ssl_ca_certs: RelativePath | None = None
    """File of CA certificates (PEM) to trust instead of the system's; only with `https://`."""
    ssl_certfile: RelativePath | None = None
    """Client certificate (PEM) for mutual TLS; only with `https://`, together with `ssl_keyfile`."""
    ssl_keyfile: RelativePath | None = None
    """Private key (PEM) of the client certificate."""
    ssl_password: SecretStr | None = None
    """Passphrase of the private key."""
    ssl_check_hostname: bool = True
    """Whether the registry's certificate must name the host of `url`."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_tls_keys(self, None if self.url.startswith("https://") else "an https:// url")
        if self.password is not None and self.username is None:
            raise SectionError((("password",), "needs 'username' beside it"))
        return self

    @property
    def address(self) -> RegistryAddress:
        """Address for the client, with secrets in the clear."""
        return RegistryAddress(**in_the_clear(self, type(self).model_fields))
