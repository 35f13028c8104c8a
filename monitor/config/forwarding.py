"""The section that says where ``drift-monitor alerts forward`` hands alerts on to."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, Secret, SecretStr, model_validator
from typing_extensions import Self

from monitor.config.faults import KeyPath
from monitor.config.section import Section, SectionError
from monitor.config.types import MonitorName, NonBlank, PositiveSeconds


class TargetUrl(Secret[str]):
    """An address whose path may be a secret, as that of a chat's webhook is; only host and port show."""

    def _display(self) -> str:
        parts = urlsplit(self.get_secret_value())
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***"


def _http_url(url: TargetUrl) -> TargetUrl:
    try:
        parts = urlsplit(url.get_secret_value())
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError(
            "must be http://host:port/path or https://...; a user and password go into headers.Authorization"
        )
    return url


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError("must be the name of an HTTP header, such as Authorization")
    return name


def _header_value(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable() or not value.get_secret_value().isascii():
        raise ValueError("must be printable ASCII text")
    return value


def _label_name(name: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name):
        raise ValueError("must be the name of a label: letters, digits and underscores, no digit first")
    return name


class TargetConfig(Section):
    """One receiver of alerts."""

    name: MonitorName
    """Name in log lines and in the consumer group; a new name begins with the oldest alert there is."""
    type: Literal["alertmanager", "webhook"]
    """Alertmanager's API, version 2; or anything that takes a POST of the CloudEvent as JSON."""
    url: Annotated[TargetUrl, AfterValidator(_http_url)]
    """Address of the webhook; of Alertmanager the root, such as `http://alertmanager:9093`."""
    headers: dict[
        Annotated[str, AfterValidator(_header_name)], Annotated[SecretStr, AfterValidator(_header_value)]
    ] = Field(default_factory=dict)
    """HTTP headers to send, such as `Authorization: Bearer ${TOKEN}`; their values are never shown."""
    labels: dict[Annotated[str, AfterValidator(_label_name)], NonBlank] = Field(default_factory=dict)
    """Labels to add to Alertmanager's alerts, such as `severity: page`; only with `type: alertmanager`."""
    timeout_seconds: PositiveSeconds = 10.0
    """How long the receiver may take for one answer before it is tried again."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.labels and self.type != "alertmanager":
            raise SectionError((("labels",), "are for 'type: alertmanager'; a webhook gets the whole alert"))
        return self


class ForwardConfig(Section):
    """Where `drift-monitor alerts forward` hands alerts on to; each receiver has its own consumer group."""

    group: NonBlank = "drift-monitor-forward"
    """Consumer groups begin with this; forwarders with the same one share the work."""
    targets: Annotated[tuple[TargetConfig, ...], Field(strict=False, min_length=1)]
    """Receivers; at least one."""

    def group_of(self, target: TargetConfig) -> str:
        """Name the consumer group of a receiver."""
        return f"{self.group}-{target.name}"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        names = [target.name for target in self.targets]
        faults: list[tuple[KeyPath, str]] = [
            (("targets", index, "name"), f"is the name of targets[{names.index(name)}] already")
            for index, name in enumerate(names)
            if names.index(name) != index
        ]
        if faults:
            raise SectionError(*faults)
        return self
