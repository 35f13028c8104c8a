"""A schema registry behind TLS and a login: each fault is one sentence, and no secret is told."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.checks.findings import Severity
from monitor.checks.schema_registry import check_schema_registry
from monitor.config.connections import SchemaRegistryConfig
from streams.errors import SchemaRegistryError, SchemaRegistryUnavailableError
from streams.registry.client import SchemaRegistryClient
from tests.servers.certificates import Authority, CertificateFiles
from tests.servers.locked_registry import LockedRegistry

USER, PASSWORD, PASSPHRASE = "drift", "correct-horse", "battery-staple"
WRONG = "wrong-guess"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> CertificateFiles:
    return authority.issue("127.0.0.1")


@pytest.fixture(scope="module")
def registry(certificate: CertificateFiles) -> Iterator[LockedRegistry]:
    with LockedRegistry(certificate, USER, PASSWORD) as found:
        yield found


@pytest.fixture(scope="module")
def mutual(certificate: CertificateFiles) -> Iterator[LockedRegistry]:
    with LockedRegistry(certificate, USER, PASSWORD, wants_client_certificate=True) as found:
        yield found


@pytest.fixture(autouse=True)
def no_secrets(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is logged, no secret is in it."""
    caplog.set_level(logging.DEBUG)
    yield
    assert not re.search(f"{PASSWORD}|{PASSPHRASE}|{WRONG}", caplog.text)


def config(server: LockedRegistry, authority: Authority, **changes: Any) -> SchemaRegistryConfig:
    """A section in which everything is right, with changes; None leaves out."""
    section = {
        "url": server.url,
        "username": USER,
        "password": PASSWORD,
        "ssl_ca_certs": str(authority.certificate),
        "timeout_seconds": 30.0,
        **changes,
    }
    return SchemaRegistryConfig.model_validate({k: v for k, v in section.items() if v is not None})


def shown(files: CertificateFiles) -> dict[str, str]:
    return {"ssl_certfile": str(files.certificate), "ssl_keyfile": str(files.key)}


def refusal(section: SchemaRegistryConfig) -> str:
    """What ``check`` and the start of a worker say is wrong."""
    finding = check_schema_registry(section)
    assert finding.severity is Severity.FAILED
    assert not re.search(f"{PASSWORD}|{PASSPHRASE}|{WRONG}|Basic |\n", finding.sentence)
    return finding.sentence


def test_private_authority_and_password(registry: LockedRegistry, authority: Authority) -> None:
    section = config(registry, authority)
    found = SchemaRegistryClient(section.address).schema(7)
    assert (found and found.type, found and found.text) == ("JSON", "{}")
    assert SchemaRegistryClient(section.address).schema(8) is None
    assert check_schema_registry(section).sentence == f"{registry.url} answers, 1 subjects"
    assert PASSWORD not in f"{section!r}{section.address!r}{vars(SchemaRegistryClient(section.address))!r}"


def test_client_certificate_with_a_passphrase(mutual: LockedRegistry, authority: Authority) -> None:
    locked = authority.issue(name="worker", passphrase=PASSPHRASE)
    section = config(mutual, authority, **shown(locked), ssl_password=PASSPHRASE)
    assert check_schema_registry(section).severity is Severity.OK


LOGIN = "refuses the login (HTTP status 401); check schema_registry.username and schema_registry.password."
NOT_TRUSTED = "is not trusted: "


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": WRONG}, LOGIN),
        ({"username": "somebody"}, LOGIN),
        ({"username": None, "password": None}, LOGIN),
        ({"ssl_ca_certs": None}, f"{NOT_TRUSTED}unable to get local issuer certificate; check"),
        ({"ssl_ca_certs": "/nowhere/ca.pem"}, "/nowhere/ca.pem, cannot be used: "),
    ],
    ids=["password", "user", "no-login", "system-authorities", "no-file"],
)
def test_wrong_login_or_authority(
    registry: LockedRegistry, authority: Authority, changes: dict[str, Any], said: str
) -> None:
    assert said in refusal(config(registry, authority, **changes))


def test_certificate_of_a_strange_authority(
    registry: LockedRegistry, authority: Authority, strangers: Authority
) -> None:
    assert NOT_TRUSTED in refusal(config(registry, strangers))


@pytest.mark.parametrize(
    ("issue", "said"),
    [
        (lambda by: by.issue("127.0.0.1", expired=True), "certificate has expired; check"),
        (lambda by: by.issue("elsewhere.example"), "certificate is not valid for '127.0.0.1'"),
    ],
    ids=["expired", "elsewhere"],
)
def test_certificate_that_is_expired_or_for_another_host(
    authority: Authority, issue: Callable[[Authority], CertificateFiles], said: str
) -> None:
    with LockedRegistry(issue(authority), USER, PASSWORD) as server:
        assert re.search(f"{NOT_TRUSTED}.*{said}", refusal(config(server, authority)))


def test_no_client_certificate_where_one_is_wanted(mutual: LockedRegistry, authority: Authority) -> None:
    # The server closes the connection, and whether its reason comes first is a matter of time.
    assert re.search("it wants a client certificate|cannot be reached", refusal(config(mutual, authority)))


def test_wrong_passphrase(mutual: LockedRegistry, authority: Authority) -> None:
    locked = authority.issue(name="guessed", passphrase=PASSPHRASE)
    section = config(mutual, authority, **shown(locked), ssl_password=WRONG)
    assert f"{locked.certificate}, {locked.key}, cannot be used: " in refusal(section)


def test_tls_where_there_is_none_and_none_where_there_is(
    registry: LockedRegistry, authority: Authority, tmp_path: Path
) -> None:
    with LockedRegistry(None, USER, PASSWORD) as plain:
        section = config(plain, authority, url=plain.url.replace("http", "https"))
        assert "it may not speak TLS, without which schema_registry.url begins with http://." in refusal(
            section
        )
    section = config(registry, authority, url=registry.url.replace("https", "http"), ssl_ca_certs=None)
    assert refusal(section).endswith("it may want TLS, for which schema_registry.url begins with https://.")


def test_login_may_be_mended_while_a_right_must_be_given(
    registry: LockedRegistry, authority: Authority
) -> None:
    with pytest.raises(SchemaRegistryUnavailableError):
        SchemaRegistryClient(config(registry, authority, password=WRONG).address).schema(7)
    registry.readable = False
    try:
        with pytest.raises(SchemaRegistryError, match="lacks a right") as caught:
            SchemaRegistryClient(config(registry, authority).address).schema(7)
        assert not isinstance(caught.value, SchemaRegistryUnavailableError)
    finally:
        registry.readable = True
